//! `llovizna doctor`: each part of the installation, OK or what to do. Changes nothing.

use super::{
    Said, opened,
    opened::{Database, close_pool},
    sentence,
};
use crate::{
    accounts::staff,
    channels::{self, Channel, email::imap::Mailbox},
    config::Config,
    copywriter::standing,
    db,
    deliverability::{self, Finding, Level, Question, SystemNames, links::Door},
    demo,
    error::Result,
    messaging::compose::Sender,
    settings::{self, Business, EmailChannel},
};
use serde_json::json;
use sqlx::PgPool;
use std::{fmt::Write as _, time::Duration};

/// A server that does not answer in this time is as good as away.
const SMTP_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// Works, but not as a business wants it.
    Warning,
    Failure,
}

impl Verdict {
    fn label(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::Warning => "AVISO",
            Verdict::Failure => "FALLA",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failure => "failure",
        }
    }
}

/// The lines of the report.
#[derive(Debug, Default)]
struct Report(Vec<(Verdict, &'static str, String)>);

impl Report {
    fn add(&mut self, verdict: Verdict, part: &'static str, text: impl Into<String>) {
        self.0.push((verdict, part, text.into()));
    }

    fn finding(&mut self, finding: Finding) {
        let verdict = match finding.level {
            Level::Good => Verdict::Ok,
            Level::Doubtful | Level::Unasked => Verdict::Warning,
            Level::Bad => Verdict::Failure,
        };
        let text = match finding.record {
            Some(it) => format!("{}. Registro {} en {}: «{}»", finding.text, it.kind, it.host, it.value),
            None => finding.text,
        };
        self.add(verdict, finding.part, text);
    }

    fn said(self, as_json: bool) -> Said {
        let is_failure = self.0.iter().any(|(verdict, ..)| *verdict == Verdict::Failure);
        if as_json {
            let lines: Vec<_> = self
                .0
                .iter()
                .map(|(verdict, part, text)| json!({ "part": part, "status": verdict.code(), "text": text }))
                .collect();
            return Said { text: json!({ "ok": !is_failure, "checks": lines }).to_string(), is_failure };
        }
        let mut text = String::new();
        for (verdict, part, what) in &self.0 {
            // Writing to a String never fails.
            let _ = writeln!(text, "{:<6} {part}: {what}", verdict.label());
        }
        Said { text, is_failure }
    }
}

pub(super) async fn run(mut config: Config, as_json: bool) -> Result<Said> {
    let mut report = Report::default();
    check_configuration(&mut config, &mut report);
    check_mailbox(&config, &mut report).await;
    match Database::open(&config).await {
        Ok(database) => {
            match database.pool(2).await {
                Ok(db) => {
                    if let Err(error) = check_with_database(&config, &database, &db, &mut report).await {
                        report.add(Verdict::Failure, "Base de datos", sentence(&error));
                    }
                    close_pool(&db).await;
                }
                Err(error) => report.add(Verdict::Failure, "Base de datos", sentence(&error)),
            }
            database.close().await;
        }
        Err(error) => report.add(Verdict::Failure, "Base de datos", sentence(&error)),
    }
    Ok(report.said(as_json))
}

fn check_configuration(config: &mut Config, report: &mut Report) {
    report.add(Verdict::Ok, "Configuración", "las variables se entienden");
    match opened::settle(config) {
        Ok(None) => report.add(Verdict::Ok, "Carpeta de datos", config.home.display().to_string()),
        Ok(Some(moved)) => report.add(Verdict::Warning, "Carpeta de datos", moved),
        Err(error) => report.add(Verdict::Failure, "Carpeta de datos", sentence(&error)),
    }
    match opened::keep_secret_key(config) {
        Ok(()) => report.add(Verdict::Ok, "Clave secreta", "hay una"),
        Err(error) => report.add(Verdict::Failure, "Clave secreta", sentence(&error)),
    }
    let fault = match Door::of(&config.public_url) {
        Door::Open => None,
        Door::Inner => Some("que otros no pueden abrir"),
        Door::Unencrypted => Some("que no está cifrado"),
    };
    match fault {
        None => report.add(Verdict::Ok, "PUBLIC_URL", config.public_url.as_str()),
        Some(fault) => report.add(
            Verdict::Warning,
            "PUBLIC_URL",
            format!(
                "los enlaces de los correos llevan a {}, {fault}: define PUBLIC_URL=https://…",
                config.public_url
            ),
        ),
    }
    if !config.scheduler && config.drip_token.is_none() {
        report.add(
            Verdict::Failure,
            "Programador",
            "está apagado (SCHEDULER=off) y falta DRIP_TOKEN: así nada sale. Define uno de los dos",
        );
    }
}

async fn check_with_database(
    config: &Config,
    database: &Database,
    db: &PgPool,
    report: &mut Report,
) -> Result<()> {
    let version: i32 =
        sqlx::query_scalar("select current_setting('server_version_num')::int").fetch_one(db).await?;
    let kind = if database.embedded.is_some() { "propio" } else { "de DATABASE_URL" };
    let major = version / 10_000;
    let oldest = i32::try_from(db::embedded::programs::OLDEST).unwrap_or(i32::MAX);
    if major < oldest {
        let text = format!("PostgreSQL {major} es muy antiguo: se necesita {oldest} o posterior");
        report.add(Verdict::Failure, "Base de datos", text);
        return Ok(());
    }
    report.add(Verdict::Ok, "Base de datos", format!("PostgreSQL {major} {kind}"));
    if !db::is_migrated(db).await {
        report.add(
            Verdict::Warning,
            "Esquema",
            "no está al día: «llovizna serve» lo actualiza al iniciar, o usa «llovizna migrate»",
        );
        check_email(config, db, None, report).await;
        return Ok(());
    }
    report.add(Verdict::Ok, "Esquema", "al día");
    if staff::is_nobody(db).await? {
        report.add(
            Verdict::Warning,
            "Cuentas",
            "aún no hay ninguna: abre el enlace de primer uso que muestra «llovizna serve»",
        );
    }
    if demo::is_open(db).await? {
        let text = format!(
            "{} entra con la contraseña publicada: crea tu propia cuenta en Equipo y desactiva esa antes de guardar datos reales",
            demo::EMAIL
        );
        report.add(Verdict::Failure, "Cuenta de demostración", text);
    }
    let business: Business = settings::load(db, &config.first_values).await?;
    let email: EmailChannel = settings::load(db, &config.first_values).await?;
    if business.is_legal_sender() {
        report.add(Verdict::Ok, "Remitente legal", business.name.as_str());
    } else {
        report.add(
            Verdict::Warning,
            "Remitente legal",
            "faltan nombre, dirección o correo del negocio: complétalos en Ajustes, Negocio, o ninguna campaña podrá iniciarse",
        );
    }
    check_email(config, db, Some(&Sender::of_email(config, &business, &email)), report).await;
    check_copywriter(config, db, report).await
}

/// Without a key nothing is wrong: texts are written by people.
async fn check_copywriter(config: &Config, db: &PgPool, report: &mut Report) -> Result<()> {
    let Some(deepseek) = &config.deepseek else { return Ok(()) };
    match standing::of(db, config).await?.why_off() {
        None => {
            report.add(Verdict::Ok, "Textos con IA", format!("{} en {}", deepseek.model, deepseek.host()));
        }
        Some(why) => report.add(Verdict::Warning, "Textos con IA", why),
    }
    Ok(())
}

/// Without one nothing is wrong: providers may tell instead.
async fn check_mailbox(config: &Config, report: &mut Report) {
    let Some(imap) = &config.imap else { return };
    match Mailbox::open(imap, None).await {
        Ok(mailbox) => {
            mailbox.close().await;
            report.add(Verdict::Ok, "Casilla de rebotes", imap.name());
        }
        Err(trouble) => report.add(Verdict::Failure, "Casilla de rebotes", trouble),
    }
}

async fn check_email(config: &Config, db: &PgPool, sender: Option<&Sender>, report: &mut Report) {
    let Some(smtp) = &config.smtp else {
        report.add(
            Verdict::Warning,
            "Correo",
            "sin EMAIL_HOST nada sale: los correos quedan en la bandeja de salida del panel",
        );
        return;
    };
    let answer = match channels::open(config, db) {
        Ok(senders) => match senders.get(&Channel::Email) {
            Some(sender) => tokio::time::timeout(SMTP_PATIENCE, sender.check()).await.unwrap_or_else(|_| {
                Err("el servidor no respondió a tiempo: revisa EMAIL_HOST y EMAIL_PORT, y que tu red deje salir por ese puerto".to_owned())
            }),
            None => Err("no hay canal de correo".to_owned()),
        },
        Err(why) => Err(why),
    };
    match answer {
        Ok(said) => {
            report.add(Verdict::Ok, "Correo", format!("{}:{} respondió: {said}", smtp.host, smtp.port));
        }
        Err(why) => report.add(Verdict::Failure, "Correo", format!("{}:{}: {why}", smtp.host, smtp.port)),
    }
    if let Some(sender) = sender.filter(|it| it.from_email.contains('@')) {
        check_dns(config, sender.domain(), report).await;
    }
}

async fn check_dns(config: &Config, domain: &str, report: &mut Report) {
    let Some(names) = SystemNames::new() else {
        report.add(Verdict::Warning, "DNS", "este equipo no tiene servidores de nombres configurados");
        return;
    };
    for finding in deliverability::examine(&names, &Question::of(config, domain)).await {
        report.finding(finding);
    }
}
