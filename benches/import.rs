//! How fast files come in, and in how much memory: 100 000 rows as CSV and as
//! XLSX through the program itself, into an empty base and again into the full one.
//!
//! `DATABASE_URL=postgres://... cargo bench --bench import` makes a database
//! `llovizna_bench_import` on that server and drops it. `ROWS` chooses another
//! size; `FILES=a.csv,b.xlsx` other files; `SHARED=yes` writes the texts of the XLSX as Excel does, each of them once.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads its choices and prints"
)]

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rust_xlsxwriter::Workbook;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    fs,
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const DATABASE: &str = "llovizna_bench_import";
const HEADER: [&str; 10] = [
    "RUT Empresa",
    "Empresa",
    "Giro",
    "Nombre",
    "Apellidos",
    "Email",
    "Teléfono",
    "Cargo",
    "Comuna",
    "Notas",
];

fn main() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("DATABASE_URL is not set: nothing was measured");
        return;
    };
    let rows: u32 = std::env::var("ROWS").ok().map_or(100_000, |it| it.parse().expect("ROWS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = match std::env::var("FILES") {
        Ok(list) => list.split(',').map(PathBuf::from).collect(),
        Err(_) => make(folder.path(), rows, std::env::var("SHARED").is_ok_and(|it| it == "yes")),
    };
    println!("load before: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let options: PgConnectOptions = url.parse().unwrap();
    let target = options.clone().database(DATABASE).to_url_lossy().to_string();
    for file in &files {
        recreate(&options, true);
        run(&target, folder.path(), &["migrate"], None);
        run(&target, folder.path(), &["import", "contacts"], Some(("new", file)));
        run(&target, folder.path(), &["import", "contacts"], Some(("again", file)));
    }
    recreate(&options, false);
}

fn recreate(options: &PgConnectOptions, create: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut db = PgConnection::connect_with(options).await.unwrap();
        sqlx::query("drop database if exists llovizna_bench_import with (force)")
            .execute(&mut db)
            .await
            .unwrap();
        if create {
            sqlx::query("create database llovizna_bench_import").execute(&mut db).await.unwrap();
        }
    });
}

/// Run the program; for a file, print how long it took and what memory it came to.
fn run(url: &str, home: &Path, arguments: &[&str], file: Option<(&str, &Path)>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llovizna"));
    command.env("DATABASE_URL", url).env("LLOVIZNA_HOME", home).args(arguments).stdout(Stdio::piped());
    if let Some((_, path)) = file {
        command.arg(path).args(["--apply", "--format", "json"]);
    }
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(memory(&status));
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed().as_secs_f64();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    if let Some((how, path)) = file {
        let it: serde_json::Value = serde_json::from_str(&said).unwrap();
        let rows = it["rows"].as_f64().unwrap_or_default();
        println!(
            "{} {how}: {rows} rows in {took:.2} s, {:.0} rows/s, peak {} MB; created {}, unchanged {}, duplicates {}, rejected {}, companies {}",
            path.file_name().unwrap_or_default().to_string_lossy(),
            rows / took,
            peak / 1024,
            it["created"],
            it["unchanged"],
            it["duplicates"],
            it["rejected"],
            it["companies_created"],
        );
    }
}

/// Most memory so far, in KB.
fn memory(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The same rows as CSV and as XLSX: an eighth as many companies, one row in twenty repeated, one in fifty faulty.
fn make(folder: &Path, rows: u32, shared: bool) -> Vec<PathBuf> {
    let mut random = StdRng::seed_from_u64(20_261_121);
    let (csv_path, xlsx_path) = (folder.join("contactos.csv"), folder.join("contactos.xlsx"));
    let mut csv = csv::Writer::from_writer(BufWriter::new(fs::File::create(&csv_path).unwrap()));
    let mut book = Workbook::new();
    let sheet =
        if shared { book.add_worksheet() } else { book.add_worksheet_with_constant_memory().unwrap() };
    csv.write_record(HEADER).unwrap();
    for (column, name) in (0..).zip(HEADER) {
        sheet.write_string(0, column, name).unwrap();
    }
    for row in 1..=rows {
        let cells = row_of(&mut random, row, rows);
        csv.write_record(&cells).unwrap();
        for (column, cell) in (0..).zip(&cells) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    csv.into_inner().ok().unwrap().flush().unwrap();
    book.save(&xlsx_path).unwrap();
    vec![csv_path, xlsx_path]
}

fn row_of(random: &mut StdRng, row: u32, rows: u32) -> [String; 10] {
    const FIRST: [&str; 6] = ["María José", "Íñigo", "Camila", "Óscar", "Ñeca", "Juan"];
    const LAST: [&str; 6] = ["Muñoz Soto", "Barría Ojeda", "Núñez", "Pérez Díaz", "Cárdenas", "Güenante"];
    const COMUNAS: [&str; 4] = ["Puerto Montt", "Osorno", "Castro", "Curaco de Vélez"];
    const TRADES: [&str; 4] = ["Lechería", "Turismo rural", "Salmonicultura", "Ferretería"];
    let company = random.random_range(0..rows / 8 + 1);
    let person = if row > 100 && random.random_bool(0.05) { random.random_range(1..100) } else { row };
    let email = if random.random_bool(0.02) {
        format!("persona{person}.example")
    } else {
        format!("Persona{person}@correo.example")
    };
    let choose = |random: &mut StdRng, from: &[&str]| (*from.choose(random).unwrap()).to_owned();
    [
        rut(76_000_000 + company),
        format!("Sociedad Ñandú {} SpA", company % 3000),
        choose(random, &TRADES),
        choose(random, &FIRST),
        choose(random, &LAST),
        email,
        format!("9 {:04} {:04}", random.random_range(3000..9999), random.random_range(0..9999)),
        "Jefa de Compras".to_owned(),
        choose(random, &COMUNAS),
        if row.is_multiple_of(2) { "Llamar en la mañana; \"hoy\"".to_owned() } else { String::new() },
    ]
}

fn rut(body: u32) -> String {
    let (mut rest, mut weight, mut sum) = (body, 2, 0);
    while rest > 0 {
        sum += rest % 10 * weight;
        weight = if weight == 7 { 2 } else { weight + 1 };
        rest /= 10;
    }
    let digit = match 11 - sum % 11 {
        11 => "0".to_owned(),
        10 => "K".to_owned(),
        it => it.to_string(),
    };
    format!("{body}-{digit}")
}
