//! Joining two people and taking it back changes nothing, whoever they are and
//! whatever they have: random people, told whole before and after.

use super::{later, run};
use crate::support::monday_noon;
use chrono::{DateTime, Utc};
use llovizna::{
    access::Actor,
    channels::Channel,
    contacts::{
        consent as ledger,
        contact::{self, Draft},
        merge::{self, Field},
        metrics,
    },
    error::Result,
    ids::ContactId,
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sqlx::PgPool;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::atomic::{AtomicU32, Ordering},
};

/// Joinings that are tried.
const CASES: u8 = 48;

/// Everything that hangs on some people, as one value.
const DUMP: &str = include_str!("dump.sql");

/// A yes or a no to promotions, as it was said.
#[derive(Clone, Copy, Debug)]
enum Word {
    Yes(&'static str),
    No,
    /// The address was excluded, by this code.
    Excluded(&'static str),
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that somebody has or not")]
struct Person {
    name: (&'static str, &'static str),
    has_email: bool,
    /// One of three telephones: two may have the same.
    phone: Option<u8>,
    company: &'static str,
    job_title: &'static str,
    born: &'static str,
    comuna: &'static str,
    source: &'static str,
    lifecycle: &'static str,
    owner: Option<u8>,
    notes: &'static str,
    quiet: Option<(u8, u8)>,
    /// By channel.
    words: [Vec<Word>; 3],
    preferences: Vec<((&'static str, &'static str), bool)>,
    interests: Vec<u8>,
    lists: Vec<u8>,
    /// Their address was on a list before they were here.
    awaited: bool,
    /// They were taken off a list.
    left: bool,
    calls: Vec<&'static str>,
    history: Vec<(&'static str, u8, i32)>,
    tasks: Vec<bool>,
    card: Option<(u8, i32, Option<u8>)>,
    moved: bool,
    rhythm: Option<(&'static str, i32)>,
    messages: Vec<&'static str>,
    /// Said to be somebody else than the third.
    told_apart: bool,
}

fn maybe<T: std::fmt::Debug>(it: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(it)
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let word = prop_oneof![
        3 => select(vec!["CONSENT", "CONTRACT", "LEGITIMATE_INTEREST"]).prop_map(Word::Yes),
        1 => Just(Word::No),
        1 => select(vec!["UNSUBSCRIBED", "HARD_BOUNCE", "COMPLAINT", "MANUAL"]).prop_map(Word::Excluded),
    ];
    proptest::collection::vec(word, 0..3)
}

fn person() -> impl Strategy<Value = Person> {
    let kinds = vec![
        ("EMAIL", "NEWSLETTER"),
        ("EMAIL", "PROMOCIONAL"),
        ("SMS", "PROMOCIONAL"),
        ("WHATSAPP", "BIRTHDAY"),
    ];
    let preferences = (subsequence(kinds, 0..=4), any::<[bool; 4]>())
        .prop_map(|(kinds, allowed)| kinds.into_iter().zip(allowed).collect::<Vec<_>>());
    let who = (
        select(vec![("Ana", "Soto"), ("ANA MARÍA", "Soto Paz"), ("", "Núñez"), ("Rosa", "")]),
        any::<bool>(),
        maybe(0u8..3),
        select(vec!["", "Lácteos del Sur", "Hotel Llanquihue"]),
        select(vec!["", "Gerenta", "Dueña"]),
        select(vec!["", "1990-02-28", "1988-02-29"]),
        select(vec!["", "10109", "13114"]),
        select(vec!["OTRO", "INSTAGRAM", "WALK_IN"]),
    );
    let more = (
        select(vec!["LEAD", "PROSPECTO", "CLIENTE", "INACTIVO"]),
        maybe(0u8..2),
        select(vec!["", "Prefiere la tarde", "Llamar\n\nantes"]),
        maybe((0u8..12, 12u8..24)),
        [words(), words(), words()],
        preferences,
        subsequence(vec![0u8, 1, 2], 0..=3),
        subsequence(vec![0u8, 1, 2], 0..=3),
        any::<(bool, bool)>(),
    );
    let work = (
        proptest::collection::vec(select(vec!["CALL", "MEETING", "NOTE"]), 0..3),
        proptest::collection::vec(
            (select(vec!["PURCHASE", "VISIT", "ENROLMENT"]), 1u8..28, select(vec![0, 9_990, 150_000])),
            0..3,
        ),
        proptest::collection::vec(any::<bool>(), 0..3),
        maybe((0u8..3, select(vec![0, 90_000]), maybe(1u8..28))),
        any::<bool>(),
        maybe((select(vec!["EMAIL", "SMS"]), 2i32..60)),
        proptest::collection::vec(select(vec!["PENDING", "SENT", "OPENED", "BOUNCED", "BLOCKED"]), 0..3),
        any::<bool>(),
    );
    (who, more, work).prop_map(|(who, more, work)| {
        let (name, has_email, phone, company, job_title, born, comuna, source) = who;
        let (lifecycle, owner, notes, quiet, words, preferences, interests, lists, (awaited, left)) = more;
        let (calls, history, tasks, card, moved, rhythm, messages, told_apart) = work;
        Person {
            name,
            // Somebody has one address at least.
            has_email: has_email || phone.is_none(),
            phone,
            company,
            job_title,
            born,
            comuna,
            source,
            lifecycle,
            owner,
            notes,
            quiet,
            words,
            preferences,
            interests,
            lists,
            awaited,
            left,
            calls,
            history,
            tasks,
            card,
            moved,
            rhythm,
            messages,
            told_apart,
        }
    })
}

/// Who is joined, and how.
#[derive(Clone, Debug)]
struct Case {
    kept: Person,
    gone: Person,
    third: Person,
    /// Whom the third was joined into before.
    into: Option<ThirdInto>,
    taken: Vec<Field>,
    /// A person said that the two are two.
    said_two: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThirdInto {
    Kept,
    Gone,
}

fn case() -> impl Strategy<Value = Case> {
    (
        person(),
        person(),
        person(),
        maybe(select(vec![ThirdInto::Kept, ThirdInto::Gone])),
        subsequence(Field::ALL.to_vec(), 0..=Field::ALL.len()),
        any::<bool>(),
    )
        .prop_map(|(kept, gone, third, into, taken, said_two)| Case {
            kept,
            gone,
            third,
            into,
            taken,
            said_two,
        })
}

/// Numbers the people of this process, so that none has another's address.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Companies, interests, lists and staff that people share.
async fn furnish(db: &PgPool) {
    run(
        db,
        "insert into interests (name, key, created_at) select 'Tema ' || n, 'tema ' || n, '2026-11-01' from generate_series(0, 2) n;
         insert into lists (name, created_at, updated_at) select 'Lista ' || n, '2026-11-01', '2026-11-01' from generate_series(0, 4) n;
         insert into staff_users (email, name, role, password_hash, created_at, updated_at)
         select 'p' || n || '@sur.example', 'Persona ' || n, 'STAFF', '', '2026-11-01', '2026-11-01' from generate_series(0, 1) n;
         insert into bulk_actions (status, action, target_name, filter, created_at, created_by_name) values ('DONE', 'OWNER', 'x', '{}', '2026-11-01', 'x');
         insert into imports (kind, filename, status, created_at, created_by_name) values ('contacts', 'x.csv', 'UPLOADED', '2026-11-01', 'x')"
            .to_owned(),
    )
    .await;
}

/// Make a person; `round` tells the telephones of one case from those of another.
async fn make(db: &PgPool, it: &Person, round: u32) -> ContactId {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let email = if it.has_email { format!("p{number}@x.example") } else { String::new() };
    let phone =
        it.phone.map(|n| format!("+569{:08}", 10_000_000 + round * 10 + u32::from(n))).unwrap_or_default();
    if it.awaited {
        let (column, address) = if it.has_email { ("email", &email) } else { ("phone", &phone) };
        run(
            db,
            format!(
                "insert into list_members (list_id, {column}, added_at) select id, '{address}', '2026-11-02' from lists where name = 'Lista 3'
                 on conflict do nothing"
            ),
        )
        .await;
    }
    let typed = Draft {
        first_name: it.name.0.to_owned(),
        last_name: it.name.1.to_owned(),
        email: email.clone(),
        phone: phone.clone(),
        company: it.company.to_owned(),
        job_title: it.job_title.to_owned(),
        birth_date: it.born.to_owned(),
        comuna: it.comuna.to_owned(),
        source: it.source.to_owned(),
        lifecycle: it.lifecycle.to_owned(),
        owner_id: String::new(),
        notes: it.notes.to_owned(),
    };
    let mut tx = db.begin().await.unwrap();
    let id =
        contact::create(&mut tx, monday_noon(), &Actor::CommandLine, &typed.check(monday_noon()).unwrap())
            .await
            .unwrap();
    tx.commit().await.unwrap();
    let mut sql = String::new();
    own(&mut sql, it, id, number);
    worked(&mut sql, it, id, number);
    run(db, sql).await;
    for (channel, words) in [Channel::Email, Channel::Sms, Channel::Whatsapp].into_iter().zip(&it.words) {
        let address = if channel == Channel::Email { &email } else { &phone };
        for word in words {
            say(db, id, channel, address, *word).await;
        }
    }
    let mut tx = db.begin().await.unwrap();
    metrics::recount(&mut tx, monday_noon(), &[id.0]).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// What they are and wish.
fn own(sql: &mut String, it: &Person, id: ContactId, number: u32) {
    if let Some(owner) = it.owner {
        let _ = write!(
            sql,
            "update contacts set owner_id = (select id from staff_users where name = 'Persona {owner}') where id = {id};"
        );
    }
    if let Some((from, until)) = it.quiet {
        let _ = write!(
            sql,
            "update contacts set quiet_from = '{from:02}:30', quiet_until = '{until:02}:00' where id = {id};"
        );
    }
    for ((channel, kind), allowed) in &it.preferences {
        let _ = write!(
            sql,
            "insert into contact_preferences values ({id}, '{channel}', '{kind}', {allowed}, '2026-11-0{}');",
            1 + number % 9
        );
    }
    for interest in &it.interests {
        let _ = write!(
            sql,
            "insert into contact_interests select {id}, id, '2026-11-0{}' from interests where key = 'tema {interest}';",
            1 + number % 9
        );
    }
    for list in &it.lists {
        let _ = write!(
            sql,
            "insert into list_members (list_id, contact_id, added_at) select id, {id}, '2026-11-0{}' from lists where name = 'Lista {list}';",
            1 + number % 9
        );
    }
    if it.left {
        let _ = write!(
            sql,
            "insert into list_removals (list_id, contact_id, added_at, removed_at) select id, {id}, '2026-11-01', '2026-11-02' from lists where name = 'Lista 4';"
        );
    }
    if let Some((channel, days)) = it.rhythm {
        let _ = write!(
            sql,
            "insert into contact_rhythms (contact_id, communication_type, min_days, source, at) values ({id}, '{channel}', {days}, 'Enlace', '2026-11-10');"
        );
    }
}

/// What was done with them.
fn worked(sql: &mut String, it: &Person, id: ContactId, number: u32) {
    for kind in &it.calls {
        let _ = write!(
            sql,
            "insert into interactions (contact_id, kind, summary, at, created_at) values ({id}, '{kind}', 'Algo', '2026-10-0{}', '2026-10-09');",
            1 + number % 9
        );
    }
    for (kind, day, amount) in &it.history {
        let _ = write!(
            sql,
            "insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at) values ({id}, '{kind}', '2026-09-{day:02}', 'Cosa', {amount}, '2026-11-01');"
        );
    }
    for done in &it.tasks {
        let done_at = if *done { "'2026-11-12'" } else { "null" };
        let _ = write!(
            sql,
            "insert into tasks (title, contact_id, due_on, done_at, created_at) values ('Llamar', {id}, '2026-11-30', {done_at}, '2026-11-01');"
        );
    }
    if let Some((stage, value, day)) = it.card {
        let day = day.map_or("null".to_owned(), |it| format!("'2026-12-{it:02}'"));
        let _ = write!(
            sql,
            "insert into pipeline_cards (contact_id, stage_id, value, follow_up_on, moved_at) select {id}, id, {value}, {day}, '2026-11-0{}' from pipeline_stages where position = 1 + {stage};",
            1 + number % 9
        );
    }
    if it.moved {
        let _ = write!(sql, "insert into pipeline_moves (contact_id, to_stage, at) values ({id}, 'Nuevo', '2026-11-01');
            insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at) values ({id}, 'LEAD', 'PROSPECTO', 'HAND', '2026-11-01');
            insert into bulk_action_rows select max(id), {id}, true, '{{}}' from bulk_actions;
            insert into import_rows (import_id, row_number, verdict, subject_id) select max(id), {number}, 'CREATED', {id} from imports;
            insert into import_changes select max(id), 'contact', {id}, '{{}}' from imports;
            insert into mailing_people values ({number}, {id});");
    }
    for (place, status) in it.messages.iter().enumerate() {
        let sent = if matches!(*status, "PENDING" | "BLOCKED") { "null" } else { "'2026-11-15'" };
        let opened = if *status == "OPENED" { "'2026-11-16'" } else { "null" };
        let blocked = if *status == "BLOCKED" { "'PREFERENCE'" } else { "null" };
        let _ = write!(sql, "insert into communication_logs (origin, contact_id, destination, communication_type, message_type, status, block_reason,
                scheduled_at, next_attempt_at, created_at, sent_at, opened_at, dedupe_key)
            values ('MANUAL', {id}, 'p@x.example', 'EMAIL', 'PROMOCIONAL', '{status}', {blocked}, '2026-11-14', '2026-11-14', '2026-11-14', {sent}, {opened}, '{number}-{place}');");
    }
}

async fn say(db: &PgPool, who: ContactId, channel: Channel, address: &str, word: Word) {
    let mut tx = db.begin().await.unwrap();
    match word {
        Word::Yes(basis) => {
            let yes = ledger::Draft {
                communication_type: channel.code().to_owned(),
                basis: basis.to_owned(),
                source: format!("Feria {who}"),
                obtained_on: "2026-03-05".to_owned(),
            };
            let yes = yes.check(monday_noon()).unwrap();
            ledger::grant(&mut tx, monday_noon(), &Actor::CommandLine, who, &yes).await.unwrap();
        }
        Word::No => {
            let no = format!("Por teléfono {who}");
            ledger::withdraw(&mut tx, monday_noon(), &Actor::CommandLine, who, channel, &no, None)
                .await
                .unwrap();
        }
        Word::Excluded(_) if address.is_empty() => (),
        Word::Excluded(reason) => {
            sqlx::query(
                "insert into suppressions (communication_type, destination, scope, reason, created_at)
                 values ($1, $2, 'PROMOTIONAL', $3, '2026-11-10') on conflict do nothing",
            )
            .bind(channel.code())
            .bind(address)
            .bind(reason)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
    }
    tx.commit().await.unwrap();
}

async fn join(
    db: &PgPool,
    at: DateTime<Utc>,
    kept: ContactId,
    gone: ContactId,
    taken: &[Field],
) -> Result<i64> {
    let mut tx = db.begin().await?;
    let taken: BTreeSet<Field> = taken.iter().copied().collect();
    let id = merge::merge(&mut tx, at, &Actor::CommandLine, kept, gone, &taken).await?;
    tx.commit().await?;
    Ok(id)
}

async fn part(db: &PgPool, at: DateTime<Utc>, id: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    merge::undo(&mut tx, at, &Actor::CommandLine, id).await?;
    Ok(tx.commit().await?)
}

async fn dump(db: &PgPool, who: &[i64]) -> serde_json::Value {
    sqlx::query_scalar(DUMP).bind(who).fetch_one(db).await.unwrap()
}

/// What differs of two dumps, kind by kind.
fn difference(before: &serde_json::Value, after: &serde_json::Value) -> String {
    let mut told = String::new();
    for (kind, was) in before.as_object().unwrap() {
        if after[kind] != *was {
            let _ = write!(told, "\n{kind}\n  was {was}\n  is  {}", after[kind]);
        }
    }
    told
}

/// What is not as it was, once those of `case` were joined and are two again; empty: all is.
async fn changed(db: &PgPool, case: &Case, order: Order) -> String {
    let mut case = case.clone();
    if matches!(order, Order::Other) && case.third.phone == case.gone.phone {
        // A telephone on a list that two people have finds the one who has it alone for a while, which is its rule.
        case.third.awaited = false;
    }
    let case = &case;
    let round = NEXT.fetch_add(1, Ordering::Relaxed);
    let kept = make(db, &case.kept, round).await;
    let gone = make(db, &case.gone, round).await;
    let third = make(db, &case.third, round).await;
    let told = [
        (case.kept.told_apart, kept, third),
        (case.gone.told_apart, gone, third),
        (case.said_two, kept, gone),
    ];
    for (_, a, b) in told.iter().filter(|it| it.0) {
        run(
            db,
            format!("insert into duplicate_candidates values (least({a}, {b}), greatest({a}, {b}), 'SAME_PHONE', '2026-11-01', '2026-11-02')"),
        )
        .await;
    }
    let everybody = [kept.0, gone.0, third.0];
    let people = (kept, gone, third);
    let told = match order {
        Order::Back => joined_and_parted(db, case, people, &everybody).await,
        Order::Other => parted_in_another_order(db, case, people, &everybody).await,
    };
    told.unwrap_or_else(|error| format!("\nrefused: {error:?}"))
}

async fn joined_and_parted(
    db: &PgPool,
    case: &Case,
    (kept, gone, third): (ContactId, ContactId, ContactId),
    everybody: &[i64],
) -> Result<String> {
    let apart = dump(db, everybody).await;
    let first = match case.into {
        Some(ThirdInto::Kept) => Some(join(db, later(1), kept, third, &case.taken).await?),
        Some(ThirdInto::Gone) => Some(join(db, later(1), gone, third, &case.taken).await?),
        None => None,
    };
    let before = dump(db, everybody).await;
    let id = join(db, later(2), kept, gone, &case.taken).await?;
    part(db, later(3), id).await?;
    let told = difference(&before, &dump(db, everybody).await);
    if let (Some(first), true) = (first, told.is_empty()) {
        part(db, later(4), first).await?;
        return Ok(difference(&apart, &dump(db, everybody).await));
    }
    Ok(told)
}

/// Two are joined into one, and the first of them parts first.
async fn parted_in_another_order(
    db: &PgPool,
    case: &Case,
    (kept, gone, third): (ContactId, ContactId, ContactId),
    everybody: &[i64],
) -> Result<String> {
    let apart = dump(db, everybody).await;
    let first = join(db, later(1), kept, third, &case.taken).await?;
    let second = join(db, later(2), kept, gone, &case.taken).await?;
    part(db, later(3), first).await?;
    part(db, later(4), second).await?;
    Ok(difference(&apart, &dump(db, everybody).await))
}

#[derive(Clone, Copy)]
enum Order {
    /// The last that was joined parts first.
    Back,
    /// The first does.
    Other,
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn joining_and_taking_back_is_nothing_whoever_they_are(db: PgPool) {
    Box::pin(is_nothing(&db, Order::Back)).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn taking_back_in_another_order_is_nothing_whoever_they_are(db: PgPool) {
    Box::pin(is_nothing(&db, Order::Other)).await;
}

async fn is_nothing(db: &PgPool, order: Order) {
    furnish(db).await;
    for seed in 0..CASES {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let mut tree = case().new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).unwrap();
        let mut told = changed(db, &tree.current(), order).await;
        if told.is_empty() {
            continue;
        }
        // The least that still goes wrong.
        let mut least = tree.current();
        let mut goes_on = tree.simplify();
        for _ in 0..200 {
            if !goes_on {
                break;
            }
            let now = changed(db, &tree.current(), order).await;
            if now.is_empty() {
                goes_on = tree.complicate();
            } else {
                (told, least) = (now, tree.current());
                goes_on = tree.simplify();
            }
        }
        panic!("seed {seed}: {least:#?}{told}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nothing_that_hangs_on_a_person_is_left_out_of_the_dump(db: PgPool) {
    // Columns of views and of what tells of others: logs that are only appended to, and blocks of ids.
    const ASIDE: &[&str] =
        &["audit_events", "former_owners", "messages_counted", "import_people", "consent_events"];
    let tables: Vec<String> = sqlx::query_scalar(
        "select distinct table_name::text from information_schema.columns where table_schema = 'public'
             and column_name in ('contact_id', 'subject_id', 'first_id', 'kept_id', 'gone_id', 'merged_into', 'came_with')
             and table_name not like 'contact_words_pending'",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let left_out: Vec<&String> = tables
        .iter()
        .filter(|it| !ASIDE.contains(&it.as_str()) && !DUMP.contains(&format!("from {it} ")))
        .collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}
