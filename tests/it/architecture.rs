//! The shape of the source, held to: layers that call only downward, tables
//! written by one module, files that say what they are and stay short, pages
//! that the Content-Security-Policy lets work. It reads files and runs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who writes each table; anyone may read any.
const OWNERS: &[(&str, &[&str])] = &[
    ("settings", &["settings", "holidays"]),
    ("audit", &["audit_events"]),
    ("channels", &["outbox_messages"]),
    ("copywriter", &["copy_calls", "copy_pauses"]),
    (
        "contacts",
        &[
            "companies",
            "contacts",
            "contact_words",
            "contact_words_pending",
            "consent_events",
            "contact_preferences",
            "contact_rhythms",
            "saved_views",
            "contact_merges",
            "former_addresses",
            "departed_contacts",
            "duplicate_candidates",
            "interests",
            "contact_interests",
            "interactions",
            "lifecycle_changes",
            "history_entries",
            "contact_metrics",
            "silent_blocks",
            "pipeline_stages",
            "pipeline_cards",
            "pipeline_moves",
            "tasks",
        ],
    ),
    ("segments", &["segments", "segment_versions", "lists", "list_members", "list_removals"]),
    ("bulk_actions", &["bulk_actions", "bulk_action_rows"]),
    (
        "messaging",
        &[
            "message_templates",
            "library_templates",
            "communication_logs",
            "communication_events",
            "communication_reservations",
            "evidence_seals",
            "drip_runs",
            "suppressions",
            "suppression_key",
            "frequency_caps",
            "warm_up_days",
            "channel_paces",
            "inbound_events",
            "mailbox_positions",
            "tracking_key",
            "message_links",
            "tracking_hits",
            "link_clicks",
        ],
    ),
    (
        "imports",
        &[
            "imports",
            "import_chunks",
            "import_rows",
            "import_quiet_rows",
            "import_changes",
            "import_corrections",
        ],
    ),
    (
        "campaigns",
        &[
            "campaigns",
            "campaign_variants",
            "campaign_own_texts",
            "campaign_tallies",
            "campaign_figures",
            "link_checks",
            "domain_checks",
            "trial_receipts",
        ],
    ),
    ("proposals", &["copy_requests", "copy_proposals"]),
    ("mailings", &["mailings", "mailing_people"]),
    ("accounts", &["staff_users", "staff_sessions", "login_failures"]),
    ("scheduler", &["job_runs"]),
];

/// Lines of a file before its tests.
const LONGEST: usize = 500;

/// Files that are longer, how long they may be, and why they stay whole.
const LONGER: &[(&str, usize, &str)] = &[
    ("src/messaging/outbox.rs", 650, "one function per arrow of one state machine, read side by side"),
    ("src/imports/mod.rs", 560, "an import as people order it, and each arrow of its state machine"),
];

/// Letters, and what stands in for one in its frame, under the frame's own
/// policy: an email has no stylesheet but its own.
const LETTERS: &[&str] = &["templates/emails", "templates/campaigns/unfilled.html"];

/// Top-level modules, lowest first, as `src/lib.rs` declares them.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn files_under(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The top-level module that a file of `src/` belongs to.
fn module_of(path: &Path) -> String {
    let first = path.components().nth(1).unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The source without lines that are only comment.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|it| !it.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The modules named right after `crate::`, in a path or at the head of each
/// branch of `crate::{..}`.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest).to_owned());
            continue;
        };
        let (mut depth, mut head) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => head = true,
                _ if head && !c.is_whitespace() => {
                    used.insert(word(&group[at..]).to_owned());
                    head = false;
                }
                _ => (),
            }
        }
    }
    used
}

/// The words that follow a writing verb of SQL. String continuations and line
/// ends count as blanks.
fn tables_written(code: &str) -> BTreeSet<String> {
    let flat = code.replace(['\\', '"'], " ").to_lowercase();
    let words: Vec<&str> = flat.split_whitespace().collect();
    let mut written = BTreeSet::new();
    for (at, three) in words.windows(3).enumerate() {
        let target = match three {
            // A row lock is not a write, and `do update set` writes what its insert named.
            ["update", ..] if at > 0 && matches!(words[at - 1], "for" | "key" | "do") => continue,
            ["insert" | "merge", "into", table]
            | ["delete", "from", table]
            | ["truncate", "table", table]
            | ["update" | "copy" | "truncate", table, _] => table,
            _ => continue,
        };
        written.insert(word(target).to_owned());
    }
    written
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

#[test]
fn a_module_uses_only_what_is_declared_above_it() {
    let layers = layers();
    let level = |name: &str| layers.iter().position(|it| it == name);
    let mut upward = Vec::new();
    for path in files_under("src", "rs") {
        let module = module_of(&path);
        let Some(own) = level(&module) else { continue };
        for used in modules_used(&code_of(&path)) {
            if level(&used).is_some_and(|it| it > own) {
                upward.push(format!("{}: `{module}` stands below `{used}`", path.display()));
            }
        }
    }
    assert_none("These look upward", &upward);
}

#[test]
fn every_file_of_the_source_belongs_to_a_declared_layer() {
    let layers = layers();
    let strays: Vec<String> = files_under("src", "rs")
        .iter()
        .filter(|it| !["lib", "main"].contains(&module_of(it).as_str()) && !layers.contains(&module_of(it)))
        .map(|it| it.display().to_string())
        .collect();
    assert_none("These are in no layer of src/lib.rs", &strays);
}

#[test]
fn every_table_has_an_owner() {
    let mut tables = BTreeSet::new();
    for path in files_under("migrations", "sql") {
        let text = fs::read_to_string(path).unwrap().to_lowercase().replace("create unlogged ", "create ");
        for (at, verb) in text.match_indices("create table ") {
            let rest = text[at + verb.len()..].trim_start_matches("if not exists ");
            tables.insert(word(rest).to_owned());
        }
    }
    let owned: BTreeSet<String> =
        OWNERS.iter().flat_map(|(_, tables)| *tables).map(|it| (*it).to_owned()).collect();
    assert_eq!(tables, owned, "left: tables of the migrations; right: tables with an owner in this file");
}

#[test]
fn a_table_is_written_by_its_owner_only() {
    let owners: BTreeMap<&str, &str> =
        OWNERS.iter().flat_map(|(owner, tables)| tables.iter().map(|it| (*it, *owner))).collect();
    let mut strays = Vec::new();
    let mut seen = BTreeSet::new();
    for path in files_under("src", "rs") {
        let module = module_of(&path);
        for table in tables_written(&code_of(&path)) {
            let Some(owner) = owners.get(table.as_str()) else { continue };
            if *owner == module {
                seen.insert(table);
            } else {
                strays.push(format!("{} writes `{table}`, which is `{owner}`'s", path.display()));
            }
        }
    }
    assert_none("These write what is not theirs", &strays);
    assert!(seen.len() > 10, "the verbs of SQL were not recognised: only {seen:?}");
}

#[test]
fn the_readers_of_this_test_see_what_they_should() {
    let used = modules_used("use crate::{ids::{A, B}, web, db::Tx as T};\nlet x = crate::cli::run();");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["cli", "db", "ids", "web"]);
    let written = tables_written(
        "\"insert into contacts (a) on conflict do update set a = 1\" \"select 1 for update skip locked\"
         \"update\n   companies set x = 1\" \"delete from \\\n imports where\" \"copy import_rows from stdin\"",
    );
    let expected = ["companies", "contacts", "import_rows", "imports"];
    assert!(expected.iter().all(|it| written.contains(*it)), "{written:?}");
    assert!(!written.contains("skip") && !written.contains("set"), "{written:?}");
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| files_under(folder, "rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| path.display().to_string())
        .collect();
    assert_none("These don't open with a `//!` sentence", &silent);
}

#[test]
fn logs_take_the_description_of_an_error_and_not_all_that_it_knows() {
    let told: Vec<_> = files_under("src", "rs")
        .into_iter()
        .filter(|it| ["error = ?", "?error", "?failed"].iter().any(|print| code_of(it).contains(print)))
        .collect();
    assert!(told.is_empty(), "use `error.description()` in {told:?}");
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut long = Vec::new();
    for path in files_under("src", "rs") {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().take_while(|it| *it != "#[cfg(test)]").count();
        let allowed = LONGER.iter().find(|it| it.0 == name).map_or(LONGEST, |it| it.1);
        if lines > allowed {
            long.push(format!("{name}: {lines} lines before its tests, {allowed} at most"));
        }
    }
    assert_none("Time for a second home", &long);
}

#[test]
fn pages_hold_no_inline_script_style_or_handler() {
    let mut inline = Vec::new();
    for path in files_under("templates", "html") {
        if LETTERS.iter().any(|it| path.starts_with(it)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let handler = lower.match_indices(" on").any(|(at, _)| {
                let name = word(&lower[at + 1..]);
                name.len() > 4 && lower[at + 1 + name.len()..].starts_with("=\"")
            });
            let script = lower.contains("<script") && !lower.contains("<script src=");
            if handler || script || lower.contains(" style=") || lower.contains("<style") {
                inline.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none("The Content-Security-Policy forbids these", &inline);
}

#[test]
fn every_block_of_the_stylesheet_is_closed() {
    let sheet = fs::read_to_string("static/app.css").unwrap();
    let mut depth = 0_i32;
    for (number, line) in (1..).zip(sheet.lines()) {
        assert!(
            depth == 0 || !line.starts_with("/*"),
            "line {number} begins a part of the sheet inside a block that was left open"
        );
        for sign in line.chars() {
            depth += i32::from(sign == '{') - i32::from(sign == '}');
        }
        assert!(depth >= 0, "line {number} closes what was not open");
    }
    assert_eq!(depth, 0);
}
