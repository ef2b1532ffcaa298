//! A rule as conditions of SQL on `contacts c`. The only dynamic SQL beside the
//! filters of lists; every value is bound. Looking things up is by `exists`, which
//! Postgres turns into joins where they stand alone and into lookups where they don't.

use super::{
    evaluate::{DEEPEST, Library},
    field::{Event, Field},
    meaning::{Letters, Meaning, Test},
    on_metrics::{self, Asked},
    ranges::{Query, push_instants, push_range},
    rule::{Condition, Group, Join, Node},
};
use crate::{
    channels::Channel,
    chile::{comunas, time},
};
use chrono::{Datelike as _, NaiveDate};

/// What a rule is read with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rules of the segments that it asks about.
    pub library: &'a Library,
    /// The local day that relative days count from.
    pub today: NaiveDate,
}

/// Push `rule` as one condition on `contacts c`, in parentheses. What cannot be
/// understood lets nobody through.
pub fn push(query: &mut Query, rule: &Group, context: Context<'_>) {
    if is_alternative(rule, context, false, 0) {
        // Lookups below an `or` cannot become joins: the sums are joined once for all of them.
        query.push(
            "c.id in (select c.id from contacts c left join contact_metrics m on m.contact_id = c.id where ",
        );
        push_group(query, rule, Reading { context, sums: Sums::Joined }, 0);
        query.push(")");
    } else {
        push_group(query, rule, Reading { context, sums: Sums::LookedUp }, 0);
    }
}

/// Where the sums of a person are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sums {
    LookedUp,
    /// As `contact_metrics m`.
    Joined,
}

#[derive(Clone, Copy)]
struct Reading<'a> {
    context: Context<'a>,
    sums: Sums,
}

fn on_sums(item: &Node, context: Context<'_>) -> Option<Asked> {
    match item {
        Node::Group(_) => None,
        Node::Condition(it) => Meaning::of(it, context.today).ok().and_then(|it| Asked::of(&it)),
    }
}

/// Whether the sums of a person are asked about as one of several ways to fit, beside what something else tells.
fn is_alternative(group: &Group, context: Context<'_>, below_or: bool, depth: usize) -> bool {
    let alone = group.join == Join::All
        || group.items.len() < 2
        || group.items.iter().all(|it| on_sums(it, context).is_some());
    let below_or = below_or || !alone;
    group.items.iter().any(|item| match item {
        Node::Group(inner) => is_alternative(inner, context, below_or, depth),
        Node::Condition(it) if it.field == Field::Segment && depth < DEEPEST => {
            let asked = it.values.iter().filter_map(|it| context.library.get(&it.parse().ok()?));
            // One of several segments is as good as another.
            let below_or = below_or || it.values.len() > 1 || it.op.is_negative();
            asked.into_iter().any(|rule| is_alternative(rule, context, below_or, depth + 1))
        }
        Node::Condition(_) => below_or && on_sums(item, context).is_some(),
    })
}

fn push_group(query: &mut Query, group: &Group, reading: Reading<'_>, depth: usize) {
    if group.items.is_empty() {
        query.push(if group.join == Join::All { "true" } else { "false" });
        return;
    }
    let (mut sums, mut others) = (Vec::new(), Vec::new());
    for item in &group.items {
        match on_sums(item, reading.context) {
            Some(it) => sums.push(it),
            None => others.push(item),
        }
    }
    let mut parts = 0;
    let mut next = |query: &mut Query| {
        query.push(if parts == 0 { "(" } else { group.join.sql() });
        parts += 1;
    };
    if reading.sums == Sums::Joined {
        for it in &sums {
            next(query);
            it.push_joined(query);
        }
    } else if !sums.is_empty() {
        next(query);
        on_metrics::push(query, &sums, group.join);
    }
    for item in others {
        next(query);
        match item {
            Node::Group(inner) => push_group(query, inner, reading, depth),
            Node::Condition(it) => push_condition(query, it, reading, depth),
        }
    }
    query.push(")");
}

fn push_condition(query: &mut Query, condition: &Condition, reading: Reading<'_>, depth: usize) {
    let Ok(meaning) = Meaning::of(condition, reading.context.today) else {
        query.push("false");
        return;
    };
    if !meaning.negated {
        query.push("(");
        push_test(query, &meaning, reading, depth);
        query.push(")");
    } else if looks_up(meaning.field) {
        // Never null, and `not exists` may become a join where `is not true` may not.
        query.push("not (");
        push_test(query, &meaning, reading, depth);
        query.push(")");
    } else {
        query.push("(");
        push_test(query, &meaning, reading, depth);
        query.push(") is not true");
    }
}

/// Whether a field is asked about by nothing but lookups, which never come to null.
fn looks_up(field: Field) -> bool {
    matches!(
        field,
        Field::Words
            | Field::CompanyName
            | Field::CompanyIndustry
            | Field::CompanyComuna
            | Field::CompanyRegion
            | Field::CompanyOwner
            | Field::CompanyRut
            | Field::Stage
            | Field::FollowUp
            | Field::Interest
            | Field::List
            | Field::Bought
            | Field::Message
    )
}

fn push_test(query: &mut Query, meaning: &Meaning, reading: Reading<'_>, depth: usize) {
    let field = meaning.field;
    match &meaning.test {
        Test::Words(words) => push_words(query, field, words),
        Test::Codes(codes) => push_codes(query, field, codes),
        Test::Ids(ids) if field == Field::Segment => push_segments(query, ids, reading, depth),
        Test::Ids(ids) => push_ids(query, field, ids),
        Test::Known => push_known(query, field),
        Test::Number(low, high) => push_age(query, *low, *high, reading.context.today),
        Test::Day(from, until) => push_day(query, field, *from, *until),
        Test::Bought(words, since) => push_bought(query, words, *since),
        Test::Message(letters) => push_message(query, *letters),
    }
}

/// Folded words hold letters and digits only, so nothing needs escaping.
fn push_each_word(query: &mut Query, column: &'static str, words: &[String]) {
    for (place, word) in words.iter().enumerate() {
        query.push(if place > 0 { " and " } else { "" });
        query.push(column).push(" like ").push_bind(format!("%{word}%"));
    }
}

/// A column of words as people typed them, without case and accents, as `chile::text::fold` would have it.
macro_rules! folded {
    ($column:literal) => {
        concat!(
            "translate(lower(",
            $column,
            "), 'ÁÀÂÄÃÉÈÊËÍÌÎÏÓÒÔÖÕÚÙÛÜÑÇáàâäãéèêëíìîïóòôöõúùûüñç',
    'aaaaaeeeeiiiiooooouuuuncaaaaaeeeeiiiiooooouuuunc')"
        )
    };
}

/// What was bought. An index of `history_entries` is of the same words.
const ITEM: &str = folded!("h.item");

fn push_words(query: &mut Query, field: Field, words: &[String]) {
    match field {
        // By the trigrams, and one by one those who are not sorted into them yet: as the search box does.
        Field::Words => {
            query.push("c.id in (select w.contact_id from contact_words w where ");
            push_each_word(query, "w.words", words);
            query.push(" union all select a.id from contact_words_pending p join contacts a on a.id between p.first_id and p.last_id where ");
            push_each_word(query, "a.search_key", words);
            query.push(")");
        }
        Field::JobTitle => push_each_word(query, folded!("c.job_title"), words),
        _ => {
            query.push("exists (select 1 from companies k where k.id = c.company_id and ");
            push_each_word(query, "k.name_key", words);
            query.push(")");
        }
    }
}

fn push_bought(query: &mut Query, words: &[String], since: Option<NaiveDate>) {
    query.push("exists (select 1 from history_entries h where h.contact_id = c.id and ");
    push_each_word(query, ITEM, words);
    if let Some(since) = since {
        query.push(" and h.occurred_on >= ").push_bind(since);
    }
    query.push(")");
}

fn push_codes(query: &mut Query, field: Field, codes: &[String]) {
    let column = match field {
        Field::Kind => "c.kind",
        Field::Lifecycle => "c.lifecycle",
        Field::Source => "c.source",
        Field::EmailDomain => "split_part(c.email, '@', 2)",
        Field::Comuna => return push_place(query, codes),
        Field::Region => return push_place(query, &comunas_of(codes)),
        Field::CompanyRegion => return push_company(query, "k.comuna", &comunas_of(codes)),
        Field::CompanyIndustry => return push_company(query, "k.industry", codes),
        Field::CompanyRut => return push_company(query, "k.rut", codes),
        Field::CompanyComuna => return push_company(query, "k.comuna", codes),
        // As the index of birthdays has it.
        Field::BirthMonth => {
            let months: Vec<i32> = codes.iter().filter_map(|it| it.parse().ok()).collect();
            query
                .push("extract(month from c.birth_date) = any (")
                .push_bind(months)
                .push("::int[]::numeric[])");
            return;
        }
        Field::Contactable => return push_reach(query, codes),
        _ => "null",
    };
    query.push(column).push(" = any (").push_bind(codes.to_vec()).push(")");
}

/// The codes of all comunas of these regions.
fn comunas_of(regions: &[String]) -> Vec<String> {
    let within = comunas::all().iter().filter(|it| regions.iter().any(|code| it.code.starts_with(code)));
    within.map(|it| it.code.to_owned()).collect()
}

/// Their own comuna, else their company's.
fn push_place(query: &mut Query, codes: &[String]) {
    query.push("c.comuna = any (").push_bind(codes.to_vec()).push(") or (c.comuna is null and ");
    push_company(query, "k.comuna", codes);
    query.push(")");
}

fn push_company(query: &mut Query, column: &'static str, codes: &[String]) {
    query.push("exists (select 1 from companies k where k.id = c.company_id and ").push(column);
    query.push(" = any (").push_bind(codes.to_vec()).push("))");
}

/// An address, a basis for promotions, and not on the list of exclusion.
fn push_reach(query: &mut Query, codes: &[String]) {
    let channels = codes.iter().filter_map(|it| Channel::from_code(it));
    for (place, channel) in channels.enumerate() {
        query.push(if place > 0 { " or " } else { "" });
        let (address, basis) = match channel {
            Channel::Email => ("c.email", "c.email_basis"),
            Channel::Sms => ("c.phone", "c.sms_basis"),
            Channel::Whatsapp => ("c.phone", "c.whatsapp_basis"),
        };
        query.push("(").push(address).push(" is not null and ").push(basis).push(" is not null");
        if channel == Channel::Sms {
            // Fixed lines get no messages.
            query.push(" and c.phone like '+569%'");
        }
        query.push(" and not exists (select 1 from suppressions s where s.communication_type = ");
        query.push_bind(channel.code()).push(" and s.lifted_at is null and s.destination = ").push(address);
        // Of lists of others only hashes are kept; where there are none, none is reckoned.
        query.push(
            ") and not (exists (select 1 from suppressions where destination is null and lifted_at is null)
             and suppression_hash((select key from suppression_key), ",
        );
        query.push(address).push(
            ") in (select address_hash from suppressions where destination is null and lifted_at is null
              and communication_type = ",
        );
        query.push_bind(channel.code()).push(")))");
    }
}

fn push_ids(query: &mut Query, field: Field, ids: &[i64]) {
    let ids = ids.to_vec();
    match field {
        Field::Owner => drop(query.push("c.owner_id = any (").push_bind(ids).push(")")),
        Field::CompanyOwner => {
            query.push("exists (select 1 from companies k where k.id = c.company_id and k.owner_id = any (");
            query.push_bind(ids).push("))");
        }
        Field::Stage => {
            query.push(
                "exists (select 1 from pipeline_cards p where p.contact_id = c.id and p.stage_id = any (",
            );
            query.push_bind(ids).push("))");
        }
        Field::Interest => {
            query.push("exists (select 1 from contact_interests i where i.contact_id = c.id and i.interest_id = any (");
            query.push_bind(ids).push("))");
        }
        Field::List => {
            query
                .push("exists (select 1 from list_members m where m.contact_id = c.id and m.list_id = any (");
            query.push_bind(ids).push("))");
        }
        _ => {
            query.push("c.import_id = any (").push_bind(ids.clone());
            query.push(") or exists (select 1 from import_changes i where i.subject_kind = 'contact' and i.subject_id = c.id and i.import_id = any (");
            query.push_bind(ids.clone());
            query.push(
                ")) or exists (select 1 from contacts g where g.merged_into = c.id and (g.import_id = any (",
            );
            query.push_bind(ids.clone());
            query.push(") or exists (select 1 from import_changes i where i.subject_kind = 'contact' and i.subject_id = g.id and i.import_id = any (");
            query.push_bind(ids).push("))))");
        }
    }
}

fn push_segments(query: &mut Query, ids: &[i64], reading: Reading<'_>, depth: usize) {
    let rules: Vec<&Group> = ids.iter().filter_map(|it| reading.context.library.get(it)).collect();
    if rules.is_empty() || depth >= DEEPEST {
        query.push("false");
        return;
    }
    for (place, rule) in rules.into_iter().enumerate() {
        query.push(if place > 0 { " or " } else { "" });
        push_group(query, rule, reading, depth + 1);
    }
}

fn push_known(query: &mut Query, field: Field) {
    query.push(match field {
        Field::Email => "c.email is not null",
        Field::Phone => "c.phone is not null",
        Field::Owner => "c.owner_id is not null",
        Field::BirthDate => "c.birth_date is not null",
        Field::Stage => "exists (select 1 from pipeline_cards p where p.contact_id = c.id)",
        Field::FollowUp => {
            "exists (select 1 from pipeline_cards p where p.contact_id = c.id and p.follow_up_on is not null)"
        }
        Field::CompanyOwner => {
            "exists (select 1 from companies k where k.id = c.company_id and k.owner_id is not null)"
        }
        Field::CompanyRut => {
            "exists (select 1 from companies k where k.id = c.company_id and k.rut is not null)"
        }
        _ => "false",
    });
}

/// `years` before `today`; of 29 February in a common year, the day before.
fn years_before(today: NaiveDate, years: i64) -> NaiveDate {
    let year = today.year() - i32::try_from(years).unwrap_or(i32::MAX / 2).min(5_000);
    let same = NaiveDate::from_ymd_opt(year, today.month(), today.day());
    same.or_else(|| NaiveDate::from_ymd_opt(year, today.month(), today.day() - 1)).unwrap_or(NaiveDate::MIN)
}

/// So old, as days of birth. Nobody is younger than nothing.
fn push_age(query: &mut Query, low: Option<i64>, high: Option<i64>, today: NaiveDate) {
    query.push("c.birth_date <= ").push_bind(years_before(today, low.unwrap_or_default().max(0)));
    match high {
        Some(high) if high < 0 => drop(query.push(" and false")),
        Some(high) if high < 1_000 => {
            query.push(" and c.birth_date > ").push_bind(years_before(today, high + 1));
        }
        _ => {}
    }
}

fn push_day(query: &mut Query, field: Field, from: Option<NaiveDate>, until: Option<NaiveDate>) {
    match field {
        Field::Created => push_instants(query, "c.created_at", from, until),
        Field::FollowUp => {
            query.push("exists (select 1 from pipeline_cards p where p.contact_id = c.id and p.follow_up_on is not null and ");
            push_range(query, "p.follow_up_on", from, until);
            query.push(")");
        }
        _ => {
            query.push("c.birth_date is not null and ");
            push_range(query, "c.birth_date", from, until);
        }
    }
}

/// Messages stay with the row that they were sent to; they were had by whom it was joined into.
const WHOSE: [&str; 2] = [
    "select l.contact_id as id from communication_logs l where l.origin <> 'TEST'",
    " union all select g.merged_into from contacts g join communication_logs l on l.contact_id = g.id
     where g.merged_into is not null and l.origin <> 'TEST'",
];

fn push_message(query: &mut Query, letters: Letters) {
    let Letters { event, since, campaign, times } = letters;
    let (column, more) = match event {
        Event::Received => ("l.sent_at", " and l.status <> 'BOUNCED'"),
        Event::Bounced => ("l.sent_at", " and l.status = 'BOUNCED'"),
        Event::Opened => ("l.opened_at", ""),
        Event::Clicked => ("l.clicked_at", ""),
        Event::Replied => ("l.replied_at", ""),
    };
    // One is found by a look; to count them, all are gathered once and not anew for each person.
    query.push(if times > 1 { "c.id in (select had.id from (" } else { "exists (select 1 from (" });
    for whose in WHOSE {
        query.push(whose).push(more).push(" and ").push(column).push(" is not null");
        if let Some(since) = since {
            query.push(" and ").push(column).push(" >= ").push_bind(time::start_of_day(since));
            if matches!(event, Event::Received | Event::Bounced) {
                // The index of the caps begins with the channel.
                let channels = Channel::ALL.map(|it| it.code().to_owned()).to_vec();
                query.push(" and l.communication_type = any (").push_bind(channels).push(")");
            }
        }
        if let Some(campaign) = campaign {
            query.push(" and l.campaign_id = ").push_bind(campaign);
        }
    }
    if times > 1 {
        query.push(") had group by had.id having count(*) >= ").push_bind(times).push(")");
    } else {
        query.push(") had where had.id = c.id)");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::field::Op, *};

    fn sql(rule: &Group, library: &Library) -> String {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let mut query = Query::new("");
        push(&mut query, rule, Context { library, today });
        query.into_string()
    }

    #[test]
    fn the_sums_of_a_person_are_looked_at_once_however_many_questions_ask_for_them() {
        let spent = Condition::with(Field::Spent, Op::MoreThan, &["100000"]);
        let visits = Condition::with(Field::Visits, Op::LessThan, &["2"]);
        let opened = Condition {
            event: Some(Event::Opened),
            days: "90".to_owned(),
            ..Condition::with(Field::Message, Op::Did, &[])
        };
        let client = Condition::with(Field::Lifecycle, Op::Is, &["CLIENTE"]);
        let none = Library::new();
        let looks = |sql: &str| sql.matches("contact_metrics").count();
        let all = sql(&Group::all([spent.clone(), client.clone(), visits.clone(), opened]), &none);
        assert_eq!((looks(&all), all.contains("communication_logs")), (1, false), "{all}");
        // Ways to fit of which one is no sum: joined, for each lookup below an `or` would be made a million times.
        let mut either = Group::any([client.clone(), spent.clone()]);
        either.items.push(Group::all([visits.clone()]).into());
        let any = sql(&either, &none);
        assert_eq!((looks(&any), any.contains("left join contact_metrics")), (1, true), "{any}");
        assert!(!any.contains("exists"), "{any}");
        // The same where another segment brings the question in.
        let library = Library::from([(7, Group::all([spent.clone()]))]);
        let within = Condition::with(Field::Segment, Op::Is, &["7"]);
        let other = sql(&Group::any([client.clone(), within]), &library);
        assert!(other.contains("left join contact_metrics"), "{other}");
        // Sums alone need no join: one look tells all ways.
        let sums = sql(&Group::any([spent, visits]), &none);
        assert_eq!((looks(&sums), sums.contains("left join")), (1, false), "{sums}");
        assert_eq!(looks(&sql(&Group::all([client]), &none)), 0);
    }
}
