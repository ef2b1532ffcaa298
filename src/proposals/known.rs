//! Which words of a text name somebody of the base: people, companies, the staff, the business itself. A look-up for each
//! pair of names that the text holds, whatever the size of the base.

use super::scrub::{self, COMPANY, Known, NAME, Part};
use crate::{
    chile::text::fold,
    config::FirstValues,
    error::Result,
    settings::{self, Business},
};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashSet};

/// Pairs of words, or names of companies, that are looked up in one statement. A text may hold more; none is left out.
const AT_ONCE: usize = 4000;

/// Words of the longest company's name that is looked for.
const LONGEST: usize = 5;

/// How a company's name ends in the base and not in a text.
const SUFFIXES: [&str; 7] = ["", " spa", " ltda", " limitada", " s a", " sa", " eirl"];

/// What of `texts` names somebody.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, first: &FirstValues, texts: &[&str]) -> Result<Known> {
    let plain: Vec<&str> = texts
        .iter()
        .flat_map(|it| scrub::parts(it))
        .filter_map(|it| if let Part::Plain(it) = it { Some(it) } else { None })
        .collect();
    let business: Business = settings::load(&mut *db, first).await?;
    let mut known = Known { pairs: people(db, &plain).await?, phrases: companies(db, &plain).await? };
    let staff = sqlx::query_scalar!("select name from staff_users").fetch_all(db).await?;
    known.phrases.extend(staff.iter().map(|it| phrase(it, NAME)).filter(|it| it.0.len() > 1));
    let own = [&business.name, &business.legal_name];
    let own = own.into_iter().map(|it| phrase(it, "{{ business_name }}")).filter(|it| !it.0.is_empty());
    // Before a company of the same name.
    known.phrases.splice(0..0, own);
    Ok(known)
}

fn phrase(name: &str, with: &str) -> (Vec<String>, String) {
    (fold(name).split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(), with.to_owned())
}

/// The pairs of words that one person's name holds.
async fn people(db: &mut PgConnection, texts: &[&str]) -> Result<Vec<(String, String)>> {
    let pairs: BTreeSet<(String, String)> =
        texts.iter().flat_map(|it| scrub::pairs(it)).map(|it| it.1).collect();
    let pairs: Vec<(String, String)> = pairs.into_iter().collect();
    let mut found = Vec::new();
    for some in pairs.chunks(AT_ONCE) {
        found.extend(held_by_one(db, some).await?);
    }
    Ok(found)
}

/// Those of `pairs` whose words both stand in one person's name.
async fn held_by_one(db: &mut PgConnection, pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let (firsts, lasts): (Vec<String>, Vec<String>) = pairs.iter().cloned().unzip();
    // Folded words hold letters and digits only, so nothing needs escaping. What no word list holds yet is gathered once
    // for all pairs.
    let rows = sqlx::query!(
        r#"with fresh as materialized (
               select ' ' || c.search_key || ' ' as key
               from contact_words_pending q join contacts c on c.id between q.first_id and q.last_id
           )
           select a as "a!", b as "b!" from unnest($1::text[], $2::text[]) p (a, b)
           where exists (select from contact_words w where w.words like '%' || a || '%' and w.words like '%' || b || '%'
                             and ' ' || w.words || ' ' like '% ' || a || ' %' and ' ' || w.words || ' ' like '% ' || b || ' %')
              or exists (select from fresh where key like '% ' || a || ' %' and key like '% ' || b || ' %')"#,
        &firsts,
        &lasts
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|it| (it.a, it.b)).collect())
}

/// The companies that a text names.
async fn companies(db: &mut PgConnection, texts: &[&str]) -> Result<Vec<(Vec<String>, String)>> {
    let mut names = BTreeSet::new();
    for text in texts {
        let words = scrub::words(text);
        for (from, first) in words.iter().enumerate().filter(|it| it.1.is_capital) {
            for to in from..words.len().min(from + LONGEST) {
                // A short word by itself is a word before it is a name.
                let is_name = to > from || first.folded.chars().count() >= 4;
                if is_name && scrub::are_beside(text, &words, from, to) {
                    let name: Vec<&str> = words[from..=to].iter().map(|it| it.folded.as_str()).collect();
                    names.insert(name.join(" "));
                }
            }
        }
    }
    let keys: Vec<String> =
        names.iter().flat_map(|it| SUFFIXES.iter().map(move |suffix| format!("{it}{suffix}"))).collect();
    let mut found = HashSet::new();
    for some in keys.chunks(AT_ONCE) {
        let rows =
            sqlx::query_scalar!("select distinct name_key from companies where name_key = any ($1)", some);
        found.extend(rows.fetch_all(&mut *db).await?);
    }
    let is_company = |it: &&String| SUFFIXES.iter().any(|suffix| found.contains(&format!("{it}{suffix}")));
    Ok(names.iter().filter(is_company).map(|it| phrase(it, COMPANY)).collect())
}
