//! The same rule, asked of the database and of a plain struct, over random rules
//! and random people: both must name the same people.

use crate::support::monday_noon;
use chrono::{DateTime, Days, TimeDelta, Utc};
use llovizna::{
    channels::Channel,
    chile::{rut::Rut, text::fold, time},
    contacts::{
        contact::search_key,
        vocabulary::{Lifecycle, Source},
    },
    ids::ContactId,
    segments::{
        evaluate::{Employer, Facts, Letter},
        facts,
        field::{Event, Field, Op},
        members,
        rule::{Condition, Group, Join, Node},
    },
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use sqlx::PgPool;

const COMUNAS: &[&str] = &["10101", "10109", "13114"];
const INDUSTRIES: &[&str] = &["Lechería", "Turismo"];
const NAMES: &[&str] = &["Ana María", "José", "Ñusta", "Óscar"];
const DOMAINS: &[&str] = &["sur.example", "correo.example"];
const TITLES: &[&str] = &["Jefe de local", "DUEÑA del Local", "Técnico"];
const ITEMS: &[&str] = &["Masaje descontracturante", "Curso de ACUARELA", "Café (250 g)", "Pan"];
const NEEDLES: &[&str] = &["ana", "jose mar", "masaje", "acuarela", "cafe 250", "sur", "lacteos"];

/// An instant near a local midnight some days back, where days are told apart most easily.
fn near_midnight() -> impl Strategy<Value = DateTime<Utc>> {
    (0u64..8, -2i64..2).prop_map(|(days, minutes)| {
        let day = time::local_date(monday_noon()) - Days::new(days * 15);
        time::start_of_day(day) + TimeDelta::minutes(minutes)
    })
}

fn maybe<T: std::fmt::Debug>(it: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.6, it)
}

fn letter() -> impl Strategy<Value = Letter> {
    (0i64..3, maybe(near_midnight()), 0u8..6).prop_map(|(campaign, sent_at, came_to)| Letter {
        campaign: (campaign > 0).then_some(campaign),
        sent_at,
        opened_at: sent_at.filter(|_| (1..=3).contains(&came_to)),
        clicked_at: sent_at.filter(|_| (2..=3).contains(&came_to)),
        replied_at: sent_at.filter(|_| came_to == 3),
        bounced: came_to == 5 && sent_at.is_some(),
    })
}

/// How somebody's address may stand on the list of exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excluded {
    Not,
    Once,
    Openly,
    ByHash,
}

#[derive(Clone, Debug)]
struct Person {
    first_name: &'static str,
    facts: Facts,
    bases: [bool; 3],
    excluded: [Excluded; 3],
    /// A fixed line, to which no SMS goes.
    has_landline: bool,
    /// Whether another was joined into them, who had the first of their messages and imports.
    has_joined: bool,
}

fn person() -> impl Strategy<Value = Person> {
    let who = (
        select(NAMES),
        maybe(select(DOMAINS)),
        any::<bool>(),
        select(Lifecycle::ALL),
        select(Source::ALL),
        (maybe(1i64..3), maybe(select(TITLES)), maybe((1i64..3, maybe(0u64..40)))),
        maybe(select(COMUNAS)),
        maybe(prop_oneof![
            select(vec!["2000-02-29", "1996-11-23", "1996-11-24", "1980-01-31"]),
            Just("2026-11-20")
        ]),
    );
    let work =
        maybe((0usize..3, maybe(select(INDUSTRIES)), maybe(select(COMUNAS)), maybe(1i64..3), any::<bool>()));
    let excluded = || select(vec![Excluded::Not, Excluded::Once, Excluded::Openly, Excluded::ByHash]);
    let past = (
        maybe((0i64..8, 0i64..4, 0i64..2, select(vec![0i64, 49_999, 50_000, 50_001, 150_000, 400_000]))),
        maybe(0u64..120),
        maybe(0u64..120),
        maybe(near_midnight()),
        subsequence(ITEMS, 0..3).prop_flat_map(|items| {
            let days = proptest::collection::vec(0u64..60, items.len());
            days.prop_map(move |days| items.iter().copied().zip(days).collect::<Vec<_>>())
        }),
    );
    let ties = (
        subsequence(vec![1i64, 2, 3], 0..3),
        subsequence(vec![1i64, 2], 0..2),
        subsequence(vec![1i64, 2], 0..2),
        proptest::collection::vec(letter(), 0..3),
        any::<[bool; 3]>(),
        [excluded(), excluded(), excluded()],
        any::<[bool; 2]>(),
        near_midnight(),
    );
    (who, work, past, ties).prop_map(|(who, work, past, ties)| {
        let (first_name, domain, has_phone, lifecycle, source, (owner, title, card), comuna, born) = who;
        let (figures, visit, purchase, active, items) = past;
        let (interests, imports, lists, messages, bases, excluded, [has_landline, has_joined], created_at) =
            ties;
        let today = time::local_date(monday_noon());
        let (visits, purchases, enrolments, spent) = figures.unwrap_or_default();
        // No figures, no row: then there are no last days either.
        let of_row = |days: Option<u64>| figures.and(days).map(|it| today - Days::new(it));
        let facts = Facts {
            email: domain.map(str::to_owned),
            phone: (has_phone || domain.is_none()).then(String::new),
            lifecycle: lifecycle.code().to_owned(),
            source: source.code().to_owned(),
            owner,
            job_title: title.map(str::to_owned),
            stage: card.map(|it| it.0),
            follow_up: card.and_then(|it| it.1).map(|days| today + Days::new(20) - Days::new(days)),
            comuna: comuna.map(str::to_owned),
            birth_date: born.map(|it| it.parse().unwrap()),
            created_at,
            company: work.map(|(place, industry, comuna, owner, has_rut)| Employer {
                rut: has_rut.then(String::new),
                name_key: fold(["Lácteos Uno", "Termas Dos", "Sur Tres"][place]),
                industry: industry.map(str::to_owned),
                comuna: comuna.map(str::to_owned),
                owner,
            }),
            interests,
            imports,
            reach: Vec::new(),
            visits,
            purchases,
            enrolments,
            spent,
            last_visit: of_row(visit),
            last_purchase: of_row(purchase),
            last_activity: figures.and(active),
            items: items.into_iter().map(|(item, days)| (item.to_owned(), today - Days::new(days))).collect(),
            messages,
            lists,
            search_key: String::new(),
        };
        Person { first_name, facts, bases, excluded, has_landline, has_joined }
    })
}

fn values(field: Field, op: Op, seed: usize) -> Vec<String> {
    let one = |pool: &[&str]| vec![pool[seed % pool.len()].to_owned()];
    if op.is_bare() {
        return Vec::new();
    }
    match op {
        Op::WithinDays | Op::BeforeDays => return one(&["0", "15", "30", "45", "90"]),
        Op::Since | Op::Until => return one(&["2026-11-23", "2026-10-24", "24-11-1996", "2000-02-29"]),
        Op::Between
            if !matches!(
                field,
                Field::Spent
                    | Field::AverageTicket
                    | Field::Visits
                    | Field::Age
                    | Field::Purchases
                    | Field::Enrolments
            ) =>
        {
            return vec!["1996-11-24".to_owned(), "2026-11-08".to_owned()];
        }
        _ => {}
    }
    let two = |pool: &[&str]| {
        let mut both = one(pool);
        both.push(pool[(seed / 7) % pool.len()].to_owned());
        both
    };
    let number = |pool: &[i64]| {
        let (a, b) = (pool[seed % pool.len()], pool[(seed / 5) % pool.len()]);
        if op == Op::Between { vec![a.min(b).to_string(), a.max(b).to_string()] } else { vec![a.to_string()] }
    };
    match field {
        Field::Words | Field::CompanyName | Field::Bought => one(NEEDLES),
        Field::JobTitle => one(&["jefe", "duena local", "técnico"]),
        Field::Kind => one(&["B2B", "B2C"]),
        Field::Lifecycle => two(&["LEAD", "CLIENTE", "INACTIVO"]),
        Field::Source => two(&["WEB", "REFERIDO", "OTRO"]),
        Field::Comuna | Field::CompanyComuna => two(COMUNAS),
        Field::Region | Field::CompanyRegion => one(&["10", "13"]),
        Field::EmailDomain => one(DOMAINS),
        Field::CompanyRut => vec![(0..60).step_by(1 + seed % 7).map(rut).collect::<Vec<_>>().join("; ")],
        Field::BirthMonth => two(&["1", "2", "11"]),
        Field::CompanyIndustry => one(INDUSTRIES),
        Field::Contactable => two(&["EMAIL", "SMS", "WHATSAPP"]),
        Field::Owner
        | Field::CompanyOwner
        | Field::Stage
        | Field::Interest
        | Field::Import
        | Field::List
        | Field::Segment => two(&["1", "2"]),
        Field::Spent | Field::AverageTicket => number(&[0, 49_999, 50_000, 150_000]),
        Field::Age => number(&[0, 26, 29, 30, 46]),
        _ => number(&[0, 1, 2, 5, 6]),
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let message =
        (select(Event::ALL), select(vec!["", "0", "15", "30"]), 0i64..3, select(vec!["", "1", "2"]));
    (select(Field::ALL), any::<usize>(), any::<usize>(), message).prop_map(|(field, op, seed, message)| {
        let op = field.ops()[op % field.ops().len()];
        let mut it = Condition { op, values: values(field, op, seed), ..Condition::new(field) };
        if field == Field::Message {
            it.values.clear();
            it.event = Some(message.0);
            it.days = message.1.to_owned();
            it.campaign = (message.2 > 0).then_some(message.2);
            it.times = message.3.to_owned();
        }
        if field == Field::Bought {
            it.days = message.1.to_owned();
        }
        it
    })
}

fn rule() -> impl Strategy<Value = Group> {
    let leaf = condition().prop_map(Node::Condition);
    let node = leaf.prop_recursive(3, 12, 4, |inner| {
        (any::<bool>(), proptest::collection::vec(inner, 0..4)).prop_map(|(all, items)| {
            Node::Group(Group { join: if all { Join::All } else { Join::Any }, items })
        })
    });
    node.prop_map(|it| match it {
        Node::Group(group) => group,
        Node::Condition(_) => Group { join: Join::All, items: vec![it] },
    })
}

/// What rules refer to: two of each, numbered 1 and 2 as the generators expect.
async fn furnish(db: &PgPool) {
    let now = monday_noon();
    for statement in [
        "truncate segments, segment_versions restart identity cascade",
        "truncate campaigns restart identity cascade",
        "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
         values ('a@x.cl', 'A', 'STAFF', 'none', $1, $1), ('b@x.cl', 'B', 'STAFF', 'none', $1, $1)",
        "insert into interests (name, key, created_at) values ('Uno', 'uno', $1), ('Dos', 'dos', $1), ('Tres', 'tres', $1)",
        "insert into imports (kind, filename, created_at, created_by_name)
         values ('contacts', 'a.csv', $1, 'A'), ('contacts', 'b.csv', $1, 'A')",
        "insert into campaigns (name, audience, created_at, updated_at) values ('Uno', '{}', $1, $1), ('Dos', '{}', $1, $1)",
        "insert into lists (name, created_at, updated_at) values ('Uno', $1, $1), ('Dos', $1, $1)",
    ] {
        // Messages are kept against everything but this: the tables are empty.
        if statement.starts_with("truncate campaigns") {
            sqlx::query("delete from campaigns").execute(db).await.unwrap();
            sqlx::query("alter table campaigns alter column id restart with 1").execute(db).await.unwrap();
            continue;
        }
        let query = sqlx::query(statement);
        if statement.contains("$1") { query.bind(now) } else { query }.execute(db).await.unwrap();
    }
    let rich = Group::all([Condition::with(Field::Spent, Op::MoreThan, &["50000"])]);
    let near = Group::any([
        Condition::with(Field::Segment, Op::Is, &["1"]),
        Condition::with(Field::Comuna, Op::IsNot, &["10101"]),
    ]);
    for (name, rule) in [("Uno", rich), ("Dos", near)] {
        sqlx::query("insert into segments (name, rule, created_at, updated_at) values ($1, $2, $3, $3)")
            .bind(name)
            .bind(serde_json::to_value(rule).unwrap())
            .bind(now)
            .execute(db)
            .await
            .unwrap();
    }
}

/// The RUT of the company of the person at `place`: no two have one.
fn rut(place: usize) -> String {
    let with = |digit| format!("{}-{digit}", 76_000_000 + place);
    let found = "0123456789K".chars().map(with).find(|it| it.parse::<Rut>().is_ok());
    found.unwrap()
}

/// Write a person down; gives their row and their facts in full.
async fn write(db: &PgPool, place: usize, person: &Person) -> (ContactId, Facts) {
    let mut facts = person.facts.clone();
    facts.email = facts.email.map(|it| format!("p{place}@{it}"));
    let line = if person.has_landline { "22" } else { "98" };
    facts.phone = facts.phone.map(|_| format!("+56{line}{place:07}"));
    facts.search_key = search_key(person.first_name, "", facts.email.as_deref(), facts.phone.as_deref());
    if let Some(company) = &mut facts.company {
        company.rut = company.rut.take().map(|_| rut(place));
        // Of a name without a RUT there is one.
        if company.rut.is_none() {
            company.name_key = format!("{} {place}", company.name_key);
        }
    }
    facts.interests.sort_unstable();
    facts.items.sort();
    let has = [facts.email.is_some(), facts.phone.is_some() && !person.has_landline, facts.phone.is_some()];
    for (place, channel) in Channel::ALL.into_iter().enumerate() {
        let excluded = matches!(person.excluded[place], Excluded::Openly | Excluded::ByHash);
        if has[place] && person.bases[place] && !excluded {
            facts.reach.push(channel);
        }
    }
    let company: Option<i64> = match &facts.company {
        None => None,
        Some(it) => Some(
            sqlx::query_scalar(
                "insert into companies (name, name_key, rut, industry, comuna, owner_id, created_at, updated_at)
                 values ($1, $1, $2, $3, $4, $5, $6, $6) returning id",
            )
            .bind(&it.name_key)
            .bind(&it.rut)
            .bind(&it.industry)
            .bind(&it.comuna)
            .bind(it.owner)
            .bind(facts.created_at)
            .fetch_one(db)
            .await
            .unwrap(),
        ),
    };
    let basis = |place: usize| person.bases[place].then_some("CONSENT");
    let own_import = facts.imports.first().copied().filter(|_| !person.has_joined);
    let id: i64 = sqlx::query_scalar(
        "insert into contacts (company_id, first_name, email, phone, lifecycle, source, owner_id, comuna, birth_date,
                               email_basis, sms_basis, whatsapp_basis, search_key, import_id, created_at, updated_at, job_title)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16) returning id",
    )
    .bind(company)
    .bind(person.first_name)
    .bind(&facts.email)
    .bind(&facts.phone)
    .bind(&facts.lifecycle)
    .bind(&facts.source)
    .bind(facts.owner)
    .bind(&facts.comuna)
    .bind(facts.birth_date)
    .bind(basis(0))
    .bind(basis(1))
    .bind(basis(2))
    .bind(&facts.search_key)
    .bind(own_import)
    .bind(facts.created_at)
    .bind(&facts.job_title)
    .fetch_one(db)
    .await
    .unwrap();
    let joined = if person.has_joined { joined_into(db, id, &facts).await } else { id };
    ties(db, id, joined, person, &facts).await;
    facts.messages.reverse();
    (ContactId(id), facts)
}

/// Somebody who is `id` by now: the card that stays behind when two are joined, which is nobody in any answer.
async fn joined_into(db: &PgPool, id: i64, facts: &Facts) -> i64 {
    sqlx::query_scalar(
        "insert into contacts (first_name, search_key, import_id, merged_into, created_at, updated_at)
         values ('Otra', '', $1, $2, $3, $3) returning id",
    )
    .bind(facts.imports.first())
    .bind(id)
    .bind(monday_noon())
    .fetch_one(db)
    .await
    .unwrap()
}

async fn exclusions(db: &PgPool, person: &Person, facts: &Facts) {
    let addresses = [&facts.email, &facts.phone, &facts.phone];
    for (place, channel) in Channel::ALL.into_iter().enumerate() {
        let (Some(address), excluded) = (addresses[place], person.excluded[place]) else { continue };
        let hashed = "suppression_hash((select key from suppression_key), $2)";
        let (open, hash) = match excluded {
            Excluded::Not => continue,
            Excluded::ByHash => ("null", hashed),
            Excluded::Once | Excluded::Openly => ("$2", "null"),
        };
        // A lifted exclusion excludes nobody.
        let statement = format!(
            "insert into suppressions (communication_type, destination, address_hash, scope, reason, created_at, lifted_at)
             values ($1, {open}, {hash}, 'PROMOTIONAL', 'MANUAL', $3, case when $4 then $3 end)",
        );
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(channel.code())
            .bind(address)
            .bind(monday_noon())
            .bind(excluded == Excluded::Once)
            .execute(db)
            .await
            .unwrap();
    }
}

/// What hangs on the person `id`; the first of their messages and imports on `joined`, who is them by now.
async fn ties(db: &PgPool, id: i64, joined: i64, person: &Person, facts: &Facts) {
    let now = monday_noon();
    exclusions(db, person, facts).await;
    for (place, import) in facts.imports.iter().enumerate() {
        let id = if place == 0 { joined } else { id };
        sqlx::query("insert into import_changes (import_id, subject_kind, subject_id, before) values ($1, 'contact', $2, '{}')")
            .bind(import)
            .bind(id)
            .execute(db)
            .await
            .unwrap();
    }
    if let Some(stage) = facts.stage {
        let query = sqlx::query(
            "insert into pipeline_cards (contact_id, stage_id, follow_up_on, moved_at) values ($1, $2, $3, $4)",
        );
        query.bind(id).bind(stage).bind(facts.follow_up).bind(now).execute(db).await.unwrap();
    }
    for interest in &facts.interests {
        let query =
            sqlx::query("insert into contact_interests (contact_id, interest_id, at) values ($1, $2, $3)");
        query.bind(id).bind(interest).bind(now).execute(db).await.unwrap();
    }
    for list in &facts.lists {
        let query =
            sqlx::query("insert into list_members (list_id, contact_id, added_at) values ($1, $2, $3)");
        query.bind(list).bind(id).bind(now).execute(db).await.unwrap();
    }
    for (item, on) in &facts.items {
        // The last day counts, whatever was bought before.
        for on in [*on, *on - Days::new(400)] {
            let query = sqlx::query(
                "insert into history_entries (contact_id, kind, occurred_on, item, created_at)
                 values ($1, 'PURCHASE', $2, $3, $4)",
            );
            query.bind(id).bind(on).bind(item).bind(now).execute(db).await.unwrap();
        }
    }
    let has_row = facts.visits + facts.purchases + facts.enrolments + facts.spent > 0
        || facts.last_visit.is_some()
        || facts.last_purchase.is_some()
        || facts.last_activity.is_some()
        || facts.messages.iter().any(|it| it.opened_at.or(it.clicked_at).or(it.replied_at).is_some());
    if has_row {
        sqlx::query(
            "insert into contact_metrics (contact_id, visits, purchases, enrolments, spent, last_visit_on, last_purchase_on,
                 last_activity_at, last_opened_at, last_clicked_at, last_replied_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(id)
        .bind(facts.visits)
        .bind(facts.purchases)
        .bind(facts.enrolments)
        .bind(facts.spent)
        .bind(facts.last_visit)
        .bind(facts.last_purchase)
        .bind(facts.last_activity)
        .bind(facts.messages.iter().filter_map(|it| it.opened_at).max())
        .bind(facts.messages.iter().filter_map(|it| it.clicked_at).max())
        .bind(facts.messages.iter().filter_map(|it| it.replied_at).max())
        .execute(db)
        .await
        .unwrap();
    }
    // A test of a text is no message to the person.
    let test = Letter { sent_at: Some(now), opened_at: Some(now), ..Letter::default() };
    let letters = facts.messages.iter().map(|it| (it, "MANUAL")).chain([(&test, "TEST")]);
    for (place, (letter, origin)) in letters.enumerate() {
        let id = if place == 0 { joined } else { id };
        let status = match letter {
            it if it.bounced => "BOUNCED",
            it if it.sent_at.is_some() => "SENT",
            _ => "PENDING",
        };
        sqlx::query(
            "insert into communication_logs (origin, campaign_id, contact_id, communication_type, message_type, destination,
                 status, scheduled_at, next_attempt_at, created_at, sent_at, opened_at, clicked_at, replied_at)
             values ($1, $2, $3, 'EMAIL', 'PROMOCIONAL', 'x', $4, $5, $5, $5, $6, $7, $8, $9)",
        )
        .bind(origin)
        .bind(letter.campaign)
        .bind(id)
        .bind(status)
        .bind(now)
        .bind(letter.sent_at)
        .bind(letter.opened_at)
        .bind(letter.clicked_at)
        .bind(letter.replied_at)
        .execute(db)
        .await
        .unwrap();
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_database_and_a_plain_reading_name_the_same_people(db: PgPool) {
    furnish(&db).await;
    let mut runner = TestRunner::deterministic();
    let mut people = Vec::new();
    for place in 0..60 {
        let it = person().new_tree(&mut runner).unwrap().current();
        people.push(write(&db, place, &it).await);
    }
    let mut connection = db.acquire().await.unwrap();
    for (id, written) in &people {
        assert_eq!(facts::of(&mut connection, *id).await.unwrap(), *written, "contact {id}");
    }
    let now = monday_noon();
    let today = time::local_date(now);
    let (mut some, mut all, mut asked) = (0, 0, std::collections::HashSet::new());
    for _ in 0..1200 {
        let rule = rule().new_tree(&mut runner).unwrap().current();
        asked.extend(rule.conditions().iter().map(|it| (it.field, it.op)));
        let library = members::library(&mut connection, &rule).await.unwrap();
        let expected: Vec<ContactId> =
            people.iter().filter(|it| it.1.satisfy(&rule, &library, today)).map(|it| it.0).collect();
        let found = members::page(&mut connection, now, &rule, ContactId(0), 1000).await.unwrap();
        assert_eq!(found, expected, "{}", serde_json::to_string_pretty(&rule).unwrap());
        some += usize::from(!expected.is_empty() && expected.len() < people.len());
        all += 1;
    }
    // The people and rules are such that the question is not idle.
    assert!(some * 2 > all, "only {some} of {all} rules told people apart");
    let lacking: Vec<_> = Field::ALL
        .iter()
        .flat_map(|field| field.ops().iter().map(|op| (*field, *op)))
        .filter(|it| !asked.contains(it))
        .collect();
    assert!(lacking.is_empty(), "never asked: {lacking:?}");
}
