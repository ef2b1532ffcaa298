//! `llovizna import`: the panel's imports from a shell, through the same engine and with the same record.

use crate::{
    access::Actor,
    channels::Channel,
    chile::time,
    clock::Clock,
    contacts::bulk::{HistoryKind, OnDuplicate},
    error::{Error, Result},
    ids::ImportId,
    imports::{
        self, Consent, Counts, History, Import, Kind, Order, Status, files,
        report::{self, RejectedRow},
        run,
    },
};
use serde::Serialize;
use sqlx::PgPool;
use std::{fmt::Write as _, fs::File, io::BufWriter, path::PathBuf, time::Duration};

/// How many rejected rows the result lists; the report file holds all.
const LISTED: i64 = 100;

/// What a file is about, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KindArg {
    /// Empresas, una por fila
    Companies,
    /// Contactos, uno por fila, con su empresa
    Contacts,
    /// Compras, visitas e inscripciones anteriores, una por fila
    History,
}

/// Importa empresas, contactos o historial desde CSV, XLSX, XLS u ODS. Sin --apply solo simula.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Qué trae el archivo
    #[arg(value_enum, value_name = "TIPO")]
    pub kind: KindArg,
    /// Archivo que se importa
    #[arg(value_name = "ARCHIVO")]
    pub file: PathBuf,
    /// Guarda los datos; sin esto solo se simula
    #[arg(long)]
    pub apply: bool,
    /// Qué hacer con las filas que ya están en la base: dejarlas, completarlas o reemplazarlas
    #[arg(long, value_enum, default_value = "fill", value_name = "MODO")]
    pub on_duplicate: OnDuplicate,
    /// Hoja del libro; si no se indica, la primera cuyas columnas se entienden
    #[arg(long, value_name = "NOMBRE")]
    pub sheet: Option<String>,
    /// De dónde viene la autorización para enviar promociones
    #[arg(long, value_name = "TEXTO")]
    pub consent_source: Option<String>,
    /// Base legal: CONSENT, CONTRACT, LEGITIMATE_INTEREST o NONE
    #[arg(long, default_value = "NONE", value_name = "BASE",
          value_parser = ["CONSENT", "CONTRACT", "LEGITIMATE_INTEREST", "NONE"])]
    pub consent_basis: String,
    /// Día en que se obtuvo, como 31-12-2025; hace falta con una base legal
    #[arg(long, value_name = "FECHA")]
    pub consent_obtained_on: Option<String>,
    /// Canales para los que vale: EMAIL, SMS, WHATSAPP, separados por comas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "EMAIL", value_name = "CANALES")]
    pub consent_channels: Vec<Channel>,
    /// Historial: qué son las filas que no lo dicen; si no se indica, lo dicen los encabezados
    #[arg(long, value_enum, value_name = "TIPO")]
    pub history_kind: Option<HistoryKind>,
    /// Historial: crea a las personas que no están en la base y traen nombre y correo o teléfono
    #[arg(long)]
    pub create_people: bool,
    /// Escribe aquí las filas rechazadas, en CSV, para corregirlas y volver a importar
    #[arg(long, value_name = "ARCHIVO.csv")]
    pub report: Option<PathBuf>,
}

/// What an import came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The import in the panel.
    pub import_id: i64,
    /// Whether the rows were written.
    pub applied: bool,
    /// Fates of the rows.
    #[serde(flatten)]
    pub counts: Counts,
    /// Rows taken with a reservation.
    pub warnings: i64,
    /// Rows of people who unsubscribed before and stay so.
    pub unsubscribed: i64,
    /// Companies created, or that would be.
    pub companies_created: i64,
    /// People created by a file of history, or that would be.
    pub people_created: i64,
    /// The first rejected rows.
    pub rejections: Vec<RejectedRow>,
}

impl Outcome {
    /// As a person reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let it = &self.counts;
        let mut text = format!(
            "{}\n  filas        {}\n  nuevas       {}\n  con cambios  {}\n  sin cambios  {}\n  duplicadas   {}\n  rechazadas   {}\n",
            if self.applied {
                "Importación guardada."
            } else {
                "Simulación: no se guardó nada. Repite con --apply para guardar."
            },
            it.rows,
            it.created,
            it.updated,
            it.unchanged,
            it.duplicates,
            it.rejected,
        );
        // Writing to a String never fails.
        if self.warnings > 0 {
            let _ = writeln!(text, "  con observaciones {}", self.warnings);
        }
        match self.unsubscribed {
            0 => {}
            1 => text.push_str("  1 persona se dio de baja: sigue sin recibir promociones\n"),
            many => {
                let _ = writeln!(text, "  {many} personas se dieron de baja: siguen sin recibir promociones");
            }
        }
        for row in &self.rejections {
            let _ = writeln!(text, "  fila {}, {}: {}", row.row, row.column, row.reason);
        }
        text
    }

    /// As a program or a person reads it.
    ///
    /// # Errors
    /// Never for these types.
    pub fn render(&self, as_json: bool) -> Result<String> {
        if as_json {
            serde_json::to_string(self).map_err(|it| Error::Internal(it.to_string()))
        } else {
            Ok(self.text())
        }
    }
}

/// Import the file that `args` names.
///
/// # Errors
/// When the file can't be read or understood, or the database or the disk fails; nothing is written then.
pub async fn run(db: &PgPool, clock: &Clock, args: &Args) -> Result<Outcome> {
    let id = upload(db, clock, args).await?;
    let driven = tokio::select! {
        driven = drive(db, clock, id) => driven,
        _ = tokio::signal::ctrl_c() => Err(Error::refused(
            "Interrumpiste la importación: se pidió cancelarla. Revisa en el panel que haya quedado cancelada.",
        )),
    };
    let import = match driven {
        Ok(import) => import,
        Err(error) => {
            give_up(db, clock, id).await;
            return Err(error);
        }
    };
    match import.status {
        Status::Ready | Status::Done => {}
        Status::Cancelled => {
            return Err(Error::refused("La importación se canceló desde el panel. No se guardó nada."));
        }
        _ => return Err(Error::refused(import.failure.unwrap_or_default())),
    }
    if let Some(path) = &args.report {
        let mut out = BufWriter::new(File::create(path)?);
        report::write_rejected(db, clock.now(), &Actor::CommandLine, &import, &mut out).await?;
        std::io::Write::flush(&mut out)?;
    }
    let rejections = report::rejections(db, id, LISTED).await?;
    if import.status == Status::Ready {
        // What was only to be told waits for nobody: who wants it written asks for it anew.
        cancel(db, clock, id).await?;
    }
    Ok(Outcome {
        import_id: id.0,
        applied: import.status == Status::Done,
        counts: import.counts,
        warnings: import.warned,
        unsubscribed: import.unsubscribed,
        companies_created: import.companies_created,
        people_created: import.people_created,
        rejections,
    })
}

async fn upload(db: &PgPool, clock: &Clock, args: &Args) -> Result<ImportId> {
    let kind = match args.kind {
        KindArg::Companies => Kind::Companies,
        KindArg::Contacts => Kind::Contacts,
        KindArg::History => Kind::History,
    };
    if !args.file.is_file() {
        return Err(Error::refused(format!("No existe el archivo {}.", args.file.display())));
    }
    let now = clock.now();
    let consent = Consent::parse(
        &args.consent_basis,
        args.consent_source.as_deref().unwrap_or_default(),
        args.consent_obtained_on.as_deref().unwrap_or_default(),
        &args.consent_channels,
        time::local_date(now),
    )
    .map_err(plain)?;
    let filename = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let order = Order {
        kind,
        filename,
        on_duplicate: args.on_duplicate,
        consent,
        sheet: args.sheet.clone(),
        apply_at_once: args.apply,
        history: History { kind: args.history_kind, create_people: args.create_people },
    };
    let mut tx = db.begin().await?;
    let id = files::store(&mut tx, now, &Actor::CommandLine, &order, &args.file).await.map_err(plain)?;
    tx.commit().await?;
    Ok(id)
}

/// Who sees a command fail believes that nothing is written: no server may write it later.
async fn give_up(db: &PgPool, clock: &Clock, id: ImportId) {
    if let Err(error) = cancel(db, clock, id).await {
        tracing::warn!(
            import.id = id.0,
            error = error.description(),
            "A failed import could not be cancelled"
        );
    }
}

async fn cancel(db: &PgPool, clock: &Clock, id: ImportId) -> Result<()> {
    let mut tx = db.begin().await?;
    imports::cancel(&mut tx, clock.now(), &Actor::CommandLine, id).await?;
    tx.commit().await?;
    Ok(())
}

/// A shell has no fields to show an error at: the sentence is enough.
fn plain(error: Error) -> Error {
    match error {
        Error::Invalid(fields) => {
            Error::refused(fields.into_iter().map(|it| it.message).collect::<Vec<_>>().join(" "))
        }
        other => other,
    }
}

/// Take the steps of `id` until it rests, or wait while a running server takes them.
async fn drive(db: &PgPool, clock: &Clock, id: ImportId) -> Result<Import> {
    loop {
        let import = imports::get(db, id).await?;
        if !import.status.is_running() {
            return Ok(import);
        }
        if !run::step(db, clock.now(), id).await? {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
