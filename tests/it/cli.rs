//! The program from a shell: what it prints, how it ends, what it leaves behind.

use sqlx::PgPool;
use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A shell in a folder of its own; with a pool, on that database.
struct Shell {
    folder: tempfile::TempDir,
    database_url: Option<String>,
}

impl Shell {
    fn new() -> Shell {
        Shell { folder: tempfile::tempdir().unwrap(), database_url: None }
    }

    fn on(db: &PgPool) -> Shell {
        let options = db.connect_options();
        let url = format!(
            "postgres://{}@{}:{}/{}",
            options.get_username(),
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap()
        );
        Shell { database_url: Some(url), ..Shell::new() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, line: &str) -> Output {
        self.run_with(line, &[], "")
    }

    fn run_with(&self, line: &str, environment: &[(&str, &str)], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_llovizna"))
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env_clear()
            .env("PATH", path())
            .env("LLOVIZNA_HOME", self.path())
            .envs(self.database_url.iter().map(|it| ("DATABASE_URL", it)))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The programs of Postgres, of which `pg_restore` dies half way when it unpacks.
    fn broken_postgres(&self) -> std::path::PathBuf {
        let real = Command::new("pg_config").arg("--bindir").output().unwrap();
        let real = said(&real.stdout).trim().to_owned();
        let bin = self.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for entry in std::fs::read_dir(&real).unwrap() {
            let entry = entry.unwrap();
            std::os::unix::fs::symlink(entry.path(), bin.join(entry.file_name())).unwrap();
        }
        // Links are resolved to the folder of the real `postgres`, so this one is a program of its own.
        for (name, script) in [
            ("postgres", format!("exec {real}/postgres \"$@\"")),
            (
                "pg_restore",
                format!(
                    "case \"$*\" in *--file=/dev/null*) exec {real}/pg_restore \"$@\";; esac\n\
                     {real}/pg_restore \"$@\" | head -n 300\n\
                     echo 'pg_restore: error: gone' >&2\nexit 1"
                ),
            ),
        ] {
            std::fs::remove_file(bin.join(name)).unwrap();
            std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    /// What a command that must succeed prints, as JSON.
    fn json(&self, line: &str) -> serde_json::Value {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", said(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command that must fail says.
    fn refusal(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", said(&output.stdout));
        assert!(output.stdout.is_empty(), "{line}");
        said(&output.stderr)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs of Postgres are looked for where the tests' own are"
)]
fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_is_in_spanish_at_every_level() {
    let shell = Shell::new();
    let mut lines = vec![String::new()];
    let mut seen = 0;
    while let Some(line) = lines.pop() {
        let output = shell.run(&format!("{line} --help"));
        let help = said(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(help.contains("\nUso: llovizna") && help.contains("Muestra esta ayuda"), "{line}: {help}");
        for english in
            ["Usage", "Options:", "Commands", "Arguments", "Print help", "possible values", "default:"]
        {
            assert!(!help.contains(english), "{line} says {english}: {help}");
        }
        if let Some(orders) = help.split("Órdenes:\n").nth(1) {
            let names = orders.lines().take_while(|it| it.starts_with("  "));
            lines
                .extend(names.filter_map(|it| it.split_whitespace().next()).map(|it| format!("{line} {it}")));
        }
        seen += 1;
    }
    assert!(seen > 15, "only {seen} commands");
}

#[test]
fn wrong_usage_ends_with_two_and_a_spanish_sentence() {
    let shell = Shell::new();
    for (line, expected) in [
        ("", "Falta la orden."),
        ("frobnicate", "La orden «frobnicate» no existe."),
        ("migrate --fast", "La opción --fast no existe."),
        ("user create --email a@b.cl --password-stdin", "Falta --role <ROL>."),
        ("user create --email a@b.cl --password-stdin --role KING", "«KING» no sirve para --role <ROL>."),
        ("drip run --at yesterday", "«yesterday» no sirve para --at <RFC3339>"),
        ("job run", "Falta <NOMBRE>."),
    ] {
        let output = shell.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let complaint = said(&output.stderr);
        assert!(complaint.starts_with(expected), "{line}: {complaint}");
    }
}

#[test]
fn a_wrong_variable_stops_every_command_and_is_named() {
    let output = Shell::new().run_with("migrate", &[("SECRET_KEY", "short")], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("SECRET_KEY"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_account_is_made_from_the_shell_with_a_password_that_no_list_shows(db: PgPool) {
    let shell = Shell::on(&db);
    let line = "user create --email Ana@Negocio.cl --role STAFF --password-stdin --format json";
    let made = shell.run_with(line, &[], "tres gotas de lluvia\n");
    assert_eq!(made.status.code(), Some(0), "{}", said(&made.stderr));
    let role: String = sqlx::query_scalar("select role from staff_users where email = 'ana@negocio.cl'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(role, "STAFF");
    let twice = shell.run_with(line, &[], "tres gotas de lluvia\n");
    assert_eq!(twice.status.code(), Some(1));
    assert!(said(&twice.stderr).contains("Ya hay una cuenta"), "{}", said(&twice.stderr));
    let empty = shell.run_with(line, &[], "");
    assert!(said(&empty.stderr).contains("No llegó ninguna contraseña"), "{}", said(&empty.stderr));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_forgotten_password_is_replaced_from_the_shell(db: PgPool) {
    let shell = Shell::on(&db);
    let make = "user create --email ana@negocio.cl --role SUPERADMIN --password-stdin";
    assert_eq!(shell.run_with(make, &[], "tres gotas de lluvia\n").status.code(), Some(0));
    let app = crate::support::TestApp::new(db.clone());
    let id: i64 = sqlx::query_scalar("select id from staff_users").fetch_one(&db).await.unwrap();
    let browser = app.as_staff(llovizna::ids::StaffId(id)).await;
    assert_eq!(browser.get("/").await.status, axum::http::StatusCode::OK);
    let change = "user password Ana@Negocio.cl";
    for (line, input, told) in [
        ("user password otra@negocio.cl", "cuatro gatos en el muelle", "Nadie tiene una cuenta"),
        (change, "corta", "No se cambió nada"),
        (change, "", "No llegó ninguna contraseña por la entrada estándar. No se cambió nada."),
    ] {
        let refused = shell.run_with(line, &[], input);
        assert_eq!(refused.status.code(), Some(1), "{line}");
        assert!(said(&refused.stderr).contains(told), "{line}: {}", said(&refused.stderr));
    }
    assert_eq!(browser.get("/").await.status, axum::http::StatusCode::OK, "nothing was changed");
    let changed = shell.run_with(change, &[], "cuatro gatos en el muelle\n");
    assert_eq!(changed.status.code(), Some(0), "{}", said(&changed.stderr));
    assert_eq!(browser.get("/").await.status, axum::http::StatusCode::SEE_OTHER, "their sessions are over");
    let hash: String =
        sqlx::query_scalar("select password_hash from staff_users").fetch_one(&db).await.unwrap();
    let verdict =
        llovizna::accounts::password::verify("cuatro gatos en el muelle".to_owned(), Some(hash)).await;
    assert_ne!(verdict.unwrap(), llovizna::accounts::password::Verdict::Wrong);
    let audited: String =
        sqlx::query_scalar("select actor from audit_events where action = 'staff.set_password'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(audited, "línea de comandos");
    assert!(app.anonymous().get("/login").await.text().contains("llovizna user password"));
}

#[test]
fn help_names_what_a_command_takes_in_the_order_of_its_usage_and_tells_of_json() {
    let shell = Shell::new();
    let help = said(&shell.run("import --help").stdout);
    let arguments = help.split("Argumentos:").nth(1).unwrap();
    let (kind, file) = (arguments.find("<TIPO>").unwrap(), arguments.find("<ARCHIVO>").unwrap());
    assert!(kind < file, "{help}");
    assert!(help.contains("escriben json cuando su salida va a un archivo"), "{help}");
    assert!(said(&shell.run("user --help").stdout).contains("password"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn jobs_are_listed_and_run(db: PgPool) {
    let shell = Shell::on(&db);
    let jobs = shell.json("job list --format json");
    assert!(jobs.as_array().unwrap().iter().any(|it| it["name"] == "drip" && it["last_run"].is_null()));
    assert_eq!(shell.json("job run cleanup --format json")["status"], "DONE");
    let kept: i64 =
        sqlx::query_scalar("select count(*) from job_runs where name = 'cleanup' and trigger = 'MANUAL'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(kept, 1);
    assert!(shell.refusal("job run nada").contains("drip"));
}

#[test]
fn nothing_is_said_of_a_log_that_is_not_there() {
    let shell = Shell::new();
    assert!(shell.refusal("audit verify").contains("No se creó ninguna"));
    assert_eq!(std::fs::read_dir(shell.path()).unwrap().count(), 0, "and none is made to say it");
}

#[sqlx::test(migrations = false)]
async fn nothing_is_said_of_the_log_of_a_database_that_is_not_ours(db: PgPool) {
    sqlx::raw_sql("drop schema public cascade; create schema public").execute(&db).await.unwrap();
    assert!(Shell::on(&db).refusal("audit verify").contains("no es de Llovizna"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_altered_in_the_log_of_messages_is_told_with_status_one(db: PgPool) {
    let shell = Shell::on(&db);
    let told = shell.json("audit verify --format json");
    assert_eq!((&told["ok"], &told["events"]), (&true.into(), &0.into()));
    sqlx::query(
        "with made as (
             insert into communication_logs (origin, destination, communication_type, message_type, scheduled_at,
                 next_attempt_at, created_at)
             values ('MANUAL', 'ana@correo.cl', 'EMAIL', 'OTHER', now(), now(), now()) returning id
         )
         insert into communication_events (communication_log_id, at, kind) select id, now(), 'QUEUED' from made",
    )
    .execute(&db)
    .await
    .unwrap();
    let told = shell.json("audit verify --format json");
    assert_eq!((&told["ok"], &told["events"], &told["seals"]), (&true.into(), &1.into(), &1.into()));
    let head = told["head"].as_str().unwrap().to_owned();
    assert_eq!(shell.json(&format!("audit verify --format json --head {head}"))["ok"], true);
    let nobodys = "0".repeat(63) + "1";
    let cut = shell.run(&format!("audit verify --head {nobodys}"));
    assert_eq!(cut.status.code(), Some(1));
    assert!(shell.refusal("audit verify --head nada").contains("64"));
    let mut tx = db.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query("update communication_events set answer = 'otra cosa'").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let broken = shell.run("audit verify");
    assert_eq!(broken.status.code(), Some(1));
    let words = said(&broken.stdout);
    assert!(words.contains("alterado") && words.contains("evento 1"), "{words}");
    assert!(!words.contains("ana@correo.cl"), "{words}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_is_simulated_first_and_then_written(db: PgPool) {
    let shell = Shell::on(&db);
    std::fs::write(shell.path().join("gente.csv"), "nombre,correo\nAna,ana@a.cl\nLuis,sin arroba\n").unwrap();
    let count =
        async || -> i64 { sqlx::query_scalar("select count(*) from contacts").fetch_one(&db).await.unwrap() };
    let told = shell.json("import contacts gente.csv");
    assert_eq!((&told["created"], &told["rejected"]), (&1.into(), &1.into()));
    assert_eq!(count().await, 0);
    let told = sqlx::query!("select status from imports where id = $1", told["import_id"].as_i64());
    assert_eq!(told.fetch_one(&db).await.unwrap().status, "CANCELLED", "what only tells waits for nobody");
    let home = crate::support::TestApp::new(db.clone()).get("/").await.text();
    assert!(!home.contains("espera que la confirmes"), "{home}");
    let done = shell.json("import contacts gente.csv --apply --report malas.csv");
    assert_eq!(done["created"], 1);
    assert_eq!(count().await, 1);
    assert!(std::fs::read_to_string(shell.path().join("malas.csv")).unwrap().contains("sin arroba"));
    assert!(shell.refusal("import contacts nada.csv").contains("No existe el archivo"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_drip_from_the_shell_answers_as_the_endpoint_does(db: PgPool) {
    let answer = Shell::on(&db).json("drip run --dry-run --at 2026-11-23T12:00:00-03:00");
    assert_eq!(
        (&answer["window"], &answer["sent"], &answer["dry_run"]),
        (&"open".into(), &0.into(), &true.into())
    );
    let night = Shell::on(&db).json("drip run --dry-run --at 2026-11-23T22:00:00-03:00");
    assert_eq!(night["window"], "closed");
    let told = Shell::on(&db).run("--format text drip run --dry-run --at 2026-11-23T12:00:00-03:00");
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("Saldrían       0") && !told.contains("Enviados"), "{told}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_backup_brings_everything_back_and_never_over_data_unasked(db: PgPool) {
    let shell = Shell::on(&db);
    std::fs::write(shell.path().join("gente.csv"), "nombre,correo\nAna,ana@a.cl\n").unwrap();
    shell.json("import contacts gente.csv --apply");
    shell.json("backup todo.dump --format json");
    assert!(shell.refusal("backup todo.dump").contains("ya existe"));
    let mode = std::fs::metadata(shell.path().join("todo.dump")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a backup holds everyone's data: {mode:o}");

    // Once more, so that the base is not what the file holds.
    std::fs::write(shell.path().join("gente.csv"), "nombre,correo\nLuis,luis@a.cl\n").unwrap();
    shell.json("import contacts gente.csv --apply");
    assert!(shell.refusal("restore todo.dump").contains("--force"));
    let names = async || -> Vec<String> {
        sqlx::query_scalar("select first_name from contacts order by id").fetch_all(&db).await.unwrap()
    };
    assert_eq!(names().await, ["Ana", "Luis"]);
    shell.json("restore todo.dump --force --format json");
    assert_eq!(names().await, ["Ana"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn half_a_backup_replaces_nothing(db: PgPool) {
    let shell = Shell::on(&db);
    shell.json("backup todo.dump --format json");
    let whole = std::fs::read(shell.path().join("todo.dump")).unwrap();
    std::fs::write(shell.path().join("medio.dump"), &whole[..whole.len() / 2]).unwrap();
    assert!(shell.refusal("restore medio.dump --force").contains("No se cambió nada"));
    std::fs::write(shell.path().join("foto.dump"), "GIF89a").unwrap();
    assert!(shell.refusal("restore foto.dump --force").contains("no es un respaldo"));
    let campaigns: i64 = sqlx::query_scalar("select count(*) from campaigns").fetch_one(&db).await.unwrap();
    assert_eq!(campaigns, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_restore_whose_unpacking_dies_replaces_nothing(db: PgPool) {
    let shell = Shell::on(&db);
    std::fs::write(shell.path().join("gente.csv"), "nombre,correo\nAna,ana@a.cl\n").unwrap();
    shell.json("import contacts gente.csv --apply");
    shell.json("backup todo.dump --format json");
    let bin = shell.broken_postgres();
    let bin = [("LLOVIZNA_PG_BIN", bin.to_str().unwrap())];
    let output = shell.run_with("restore todo.dump --force", &bin, "");
    let said = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No se cambió nada"), "{said}");
    let names: Vec<String> =
        sqlx::query_scalar("select first_name from contacts").fetch_all(&db).await.unwrap();
    assert_eq!(names, ["Ana"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_doctor_fails_while_the_published_password_opens_the_panel(db: PgPool) {
    let shell = Shell::on(&db);
    let look = || {
        let output = shell.run_with("doctor --format json", &[], "");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found =
            report["checks"].as_array().unwrap().iter().find(|it| it["part"] == "Cuenta de demostración");
        (output.status.code(), found.map(|it| it["status"].as_str().unwrap().to_owned()))
    };
    crate::demo::account(&db).await;
    assert_eq!(look(), (Some(1), Some("failure".to_owned())));
    sqlx::query("update staff_users set active = false").execute(&db).await.unwrap();
    assert_eq!(look(), (Some(0), None));
}

#[test]
fn a_demo_is_not_shown_to_the_network_unasked() {
    let busy = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let shell = Shell::new();
    let output = shell.run_with("serve --demo", &[("BIND_ADDR", &address)], "");
    assert_eq!(output.status.code(), Some(1));
    let refusal = said(&output.stderr);
    assert!(refusal.contains("contraseña publicada") && refusal.contains("DEMO_PUBLIC=on"), "{refusal}");
    // Asked for, it goes on to listen.
    let asked = [("BIND_ADDR", address.as_str()), ("DEMO_PUBLIC", "on")];
    let output = shell.run_with("serve --demo", &asked, "");
    assert!(said(&output.stderr).contains("ya está en uso"), "{}", said(&output.stderr));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_doctor_tells_what_is_well_and_what_to_do(db: PgPool) {
    let shell = Shell::on(&db);
    let report = shell.json("doctor --format json");
    let status = |report: &serde_json::Value, part: &str| {
        let all = report["checks"].as_array().unwrap();
        all.iter().find(|it| it["part"] == part).map(|it| it["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status(&report, "Esquema").as_deref(), Some("ok"));
    assert_eq!(status(&report, "Correo").as_deref(), Some("warning"));
    assert_eq!(status(&report, "Remitente legal").as_deref(), Some("warning"));

    // Nothing listens there.
    let deaf = [("EMAIL_HOST", "127.0.0.1"), ("EMAIL_PORT", "9"), ("EMAIL_USE_TLS", "none")];
    let output = shell.run_with("doctor --format json", &deaf, "");
    assert_eq!(output.status.code(), Some(1));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status(&report, "Correo").as_deref(), Some("failure"));
}

#[test]
fn a_database_that_is_away_is_one_sentence() {
    let shell = Shell { database_url: Some("postgres://nobody@127.0.0.1:9/nada".to_owned()), ..Shell::new() };
    let refusal = shell.refusal("migrate");
    assert!(refusal.starts_with("La base de datos no responde."), "{refusal}");
    assert_eq!(refusal.lines().count(), 1);
}

#[test]
fn a_busy_port_is_one_sentence() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let output = Shell::new().run_with("serve", &[("BIND_ADDR", &address)], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("ya está en uso"), "{}", said(&output.stderr));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_campaign_that_is_over_takes_nobody_more(db: PgPool) {
    let shell = Shell::on(&db);
    let id: i64 = sqlx::query_scalar("select min(id) from campaigns").fetch_one(&db).await.unwrap();
    for (status, said) in [("FINISHED", "está terminada"), ("CANCELLED", "está cancelada")] {
        sqlx::query("update campaigns set status = $2, launched_at = now(), finished_at = now(), enqueue_done = true where id = $1")
            .bind(id)
            .bind(status)
            .execute(&db)
            .await
            .unwrap();
        let told = shell.refusal(&format!("campaign enqueue {id}"));
        assert!(told.contains(said), "{told}");
    }
}
