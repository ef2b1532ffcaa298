//! Imports: files of every make, verdicts, writing as a whole, undoing, and the pages.

mod apply;
mod bad_input;
mod channels;
mod consent;
mod dialects;
mod exclusions;
mod full_size;
mod history;
mod hostile;
mod namesakes;
mod interruptions;
mod meanwhile;
mod mending;
mod undo;
mod permission;
mod properties;
mod relationship;
mod sharing;
mod told;
mod web;

use chrono::{DateTime, Utc};
use llovizna::{
    access::Actor,
    channels::Channel,
    cli::import::{Args, KindArg, Outcome, run},
    clock::Clock,
    contacts::bulk::OnDuplicate,
    error::Error,
    ids::ImportId,
    imports::{Consent, History, Kind, Order, files, run as engine},
};
use rust_xlsxwriter::Workbook;
use sqlx::PgPool;
use std::{fs, io::Write as _};
use tempfile::TempDir;

/// A moment to import at.
fn now() -> DateTime<Utc> {
    crate::support::monday_noon()
}

/// A file on disk with a name, and what the command says of it.
pub(crate) struct Attempt {
    dir: TempDir,
    args: Args,
}

impl Attempt {
    fn of(kind: KindArg, name: &str, content: &[u8]) -> Attempt {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        fs::write(&file, content).unwrap();
        let args = Args {
            kind,
            file,
            apply: false,
            on_duplicate: OnDuplicate::Fill,
            sheet: None,
            consent_source: None,
            consent_basis: "NONE".to_owned(),
            consent_obtained_on: None,
            consent_channels: vec![Channel::Email],
            history_kind: None,
            create_people: false,
            report: None,
        };
        Attempt { dir, args }
    }

    pub(crate) fn contacts(content: impl AsRef<[u8]>) -> Attempt {
        Attempt::of(KindArg::Contacts, "contactos.csv", content.as_ref())
    }

    fn companies(content: impl AsRef<[u8]>) -> Attempt {
        Attempt::of(KindArg::Companies, "empresas.csv", content.as_ref())
    }

    pub(crate) fn history(content: impl AsRef<[u8]>) -> Attempt {
        Attempt::of(KindArg::History, "historial.csv", content.as_ref())
    }

    pub(crate) fn creating_people(mut self) -> Attempt {
        self.args.create_people = true;
        self
    }

    pub(crate) fn applied(mut self) -> Attempt {
        self.args.apply = true;
        self
    }

    pub(crate) fn on_duplicate(mut self, way: OnDuplicate) -> Attempt {
        self.args.on_duplicate = way;
        self
    }

    pub(crate) fn with_consent(mut self, source: &str) -> Attempt {
        "CONSENT".clone_into(&mut self.args.consent_basis);
        self.args.consent_source = Some(source.to_owned());
        self.args.consent_obtained_on = Some("23-11-2026".to_owned());
        self
    }

    fn on(mut self, channels: &[Channel]) -> Attempt {
        self.args.consent_channels = channels.to_vec();
        self
    }

    fn sheet(mut self, name: &str) -> Attempt {
        self.args.sheet = Some(name.to_owned());
        self
    }

    async fn outcome(&self, db: &PgPool) -> Result<Outcome, Error> {
        run(db, &Clock::fixed(now()), &self.args).await
    }

    pub(crate) async fn run(&self, db: &PgPool) -> Outcome {
        self.outcome(db).await.unwrap()
    }

    /// Upload it as the panel does, and simulate it: it waits for a person.
    pub(crate) async fn ready(&self, db: &PgPool) -> ImportId {
        let id = self.uploaded(db).await;
        while engine::step(db, now(), id).await.unwrap() {}
        id
    }

    /// Upload it as the panel does.
    async fn uploaded(&self, db: &PgPool) -> ImportId {
        let kind = match self.args.kind {
            KindArg::Companies => Kind::Companies,
            KindArg::Contacts => Kind::Contacts,
            KindArg::History => Kind::History,
        };
        let consent = self.args.consent_source.clone().map(|source| Consent {
            basis: self.args.consent_basis.clone(),
            source,
            obtained_on: now().date_naive(),
            channels: self.args.consent_channels.clone(),
        });
        let order = Order {
            kind,
            filename: "a.csv".to_owned(),
            on_duplicate: self.args.on_duplicate,
            consent,
            sheet: None,
            apply_at_once: false,
            history: History { kind: None, create_people: self.args.create_people },
        };
        let mut tx = db.begin().await.unwrap();
        let id = files::store(&mut tx, now(), &Actor::CommandLine, &order, &self.args.file).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Why it is refused.
    async fn refusal(&self, db: &PgPool) -> String {
        match self.outcome(db).await {
            Err(Error::Refused(sentence)) => sentence,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The report of rejected rows.
    async fn report(mut self, db: &PgPool) -> String {
        let path = self.dir.path().join("rechazadas.csv");
        self.args.report = Some(path.clone());
        self.run(db).await;
        fs::read_to_string(path).unwrap()
    }
}

/// (rows, created, updated, unchanged, duplicates, rejected)
fn fates(it: &Outcome) -> (i64, i64, i64, i64, i64, i64) {
    let it = &it.counts;
    (it.rows, it.created, it.updated, it.unchanged, it.duplicates, it.rejected)
}

/// What was said of the rows of an import, in their order.
async fn notes(db: &PgPool, import: i64) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select note as "note!" from import_rows where import_id = $1 and note is not null order by row_number"#,
        import
    )
    .fetch_all(db)
    .await
    .unwrap()
}

/// How many people and companies there are.
async fn population(db: &PgPool) -> (i64, i64) {
    let found = sqlx::query!(
        r#"select (select count(*) from contacts) as "contacts!", (select count(*) from companies) as "companies!""#
    )
    .fetch_one(db)
    .await
    .unwrap();
    (found.contacts, found.companies)
}

/// A workbook with one sheet a list of rows.
fn xlsx(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    let mut book = Workbook::new();
    for (name, rows) in sheets {
        let sheet = book.add_worksheet().set_name(*name).unwrap();
        for (at, row) in (0..).zip(*rows) {
            for (column, cell) in (0..).zip(*row) {
                sheet.write_string(at, column, *cell).unwrap();
            }
        }
    }
    book.save_to_buffer().unwrap()
}

/// A ZIP of these parts.
fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        out.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}
