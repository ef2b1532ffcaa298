//! Who is searched for: looked up in the trigrams before anything else, exactly
//! first, and by likeness where that finds nobody.

use super::search::{ALIKE, Near, Search};
use crate::error::Result;
use sqlx::{Connection as _, PgConnection, Postgres, QueryBuilder};

/// The ids of the people who bear the words themselves, by the index; of those not yet sorted into it one by one. `most`
/// of each are enough: written into the statement, so that for a word of many no plan gathers them all first.
fn push_people(query: &mut QueryBuilder<Postgres>, search: &Search, most: Option<i64>) {
    let enough = most.map(|it| format!(" limit {it}")).unwrap_or_default();
    query.push("(select w.contact_id as id from contact_words w where ");
    search.push_indexed(query, "w.words");
    query.push(&enough).push(
        ") union all (select a.id from contact_words_pending p join contacts a on a.id between p.first_id and p.last_id where ",
    );
    search.push(query, "a.search_key");
    query.push(enough).push(")");
}

/// Whether `companies k` is one that is searched for.
fn push_company(query: &mut QueryBuilder<Postgres>, search: &Search) {
    query.push("(");
    search.push_indexed(query, "k.name_key");
    if let Some(rut) = &search.rut {
        query.push(" or k.rut = ").push_bind(rut.clone());
    }
    query.push(")");
}

/// What a search came to.
pub(super) enum Found {
    /// Nothing was searched for.
    All,
    /// These rows: few enough to be taken by their ids.
    Rows(Vec<i64>),
    /// So many that any stretch of the list holds some: they are met by walking it.
    Many(Search),
}

/// Most rows that are taken by their ids: as many as a list counts, and one. Limits are written into statements, not
/// bound: so many rows at most is what the plan is chosen by.
const FEW: i64 = 1001;

/// Of a word that more bear than this, so many are looked at beside the words of their company.
const LOOKED_AT: i64 = 2000;

impl Found {
    /// Look for the words first, by the trigrams alone. Left to itself, Postgres
    /// walks the ordered list for rare words too, at a price that grows with the table.
    pub(super) async fn search(db: &mut PgConnection, q: &str) -> Result<Found> {
        let Some(search) = Search::parse(q) else {
            return Ok(if Search::is_vain(q) { Found::Rows(Vec::new()) } else { Found::All });
        };
        // One value, since each row that comes back costs as much as finding it.
        let mut query = QueryBuilder::new("select coalesce(array_agg(id), '{}') from ((");
        push_people(&mut query, &search, Some(FEW + 1));
        query
            .push(format!(" limit {}", FEW + 1))
            .push(") union (select c.id from companies k join contacts c on c.company_id = k.id where ");
        push_company(&mut query, &search);
        query.push(format!(" limit {})", FEW + 1));
        // An address that was left out of a joining leads to who stayed.
        if let Some(address) = &search.address {
            query
                .push(" union select o.contact_id from former_owners o where o.address = ")
                .push_bind(address.clone());
        }
        query.push(") found");
        let ids: Vec<i64> = query.build_query_scalar().fetch_one(&mut *db).await?;
        if ids.is_empty() {
            // However many: none of them bears all of the words, so that no walk would meet one.
            return Ok(Found::Rows(across(db, &search).await?));
        }
        let few = i64::try_from(ids.len()).is_ok_and(|it| it <= FEW);
        Ok(if few { Found::Rows(ids) } else { Found::Many(search) })
    }

    /// Whether something was searched for and nobody bears it.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Found::Rows(ids) if ids.is_empty())
    }

    /// Whether the search itself found so many.
    pub(super) fn are_at_least(&self, many: i64) -> bool {
        matches!(self, Found::Many(_)) && many <= FEW
    }

    /// `whole`: all of them are wanted at once, so that the index serves better than walking.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, whole: bool) {
        match self {
            Found::All => {}
            Found::Rows(ids) => drop(query.push(" and c.id = any (").push_bind(ids.clone()).push(")")),
            Found::Many(search) => {
                query.push(" and (");
                if whole {
                    query.push("c.id in (");
                    push_people(query, search, None);
                    query.push(") or c.company_id in (select k.id from companies k where ");
                } else {
                    search.push(query, "c.search_key");
                    query.push(" or exists (select 1 from companies k where k.id = c.company_id and ");
                }
                push_company(query, search);
                query.push("))");
            }
        }
    }
}

/// The rows of people who bear some of the words, and their company the others: "ana lechería". Of a word that more
/// than [`LOOKED_AT`] bear, so many are looked at.
async fn across(db: &mut PgConnection, search: &Search) -> Result<Vec<i64>> {
    let apart = search.apart();
    if apart.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::new("");
    for (place, (word, others)) in apart.iter().enumerate() {
        query.push(if place > 0 { " union " } else { "" });
        query.push("(select c.id from (select k.id, k.name_key from companies k where ");
        word.push_indexed(&mut query, "k.name_key");
        query
            .push(format!(" limit {LOOKED_AT}"))
            .push(") k join contacts c on c.company_id = k.id where c.merged_into is null and ");
        others.push_either(&mut query, ("c.search_key", "k.name_key"));
        query
            .push(format!(" limit {LOOKED_AT}"))
            .push(") union (select c.id from (select w.contact_id from contact_words w where ");
        word.push_indexed(&mut query, "w.words");
        query.push(format!(" limit {LOOKED_AT}")).push(
            ") w join contacts c on c.id = w.contact_id join companies k on k.id = c.company_id where c.merged_into is null and ",
        );
        others.push_either(&mut query, ("c.search_key", "k.name_key"));
        query.push(format!(" limit {LOOKED_AT})"));
    }
    // Planned anew for what is asked, as likeness is.
    let ids: Vec<i64> = query.build_query_scalar().persistent(false).fetch_all(db).await?;
    Ok(ids.into_iter().take(usize::try_from(LOOKED_AT).unwrap_or(usize::MAX)).collect())
}

/// Most people who are shown ahead of the others.
const CALLED: i64 = 10;

/// The rows of the people whose names begin with what `q` says, by name: whoever types a whole name means them, and not
/// the many who bear one of its words. Empty where `q` is too short to mean anybody.
pub(super) async fn called(db: &mut PgConnection, q: &str) -> Result<Vec<i64>> {
    let Some(name) = Search::parse(q).and_then(|it| it.name()) else { return Ok(Vec::new()) };
    Ok(sqlx::query_scalar!(
        "select id from contacts where merged_into is null and search_key >= $1 and search_key < $2
         order by search_key, id limit $3",
        name,
        // After every letter that a name may go on with.
        format!("{name}\u{10ffff}"),
        CALLED
    )
    .fetch_all(db)
    .await?)
}

/// Most candidates whose likeness is weighed.
const WEIGHED: i64 = 200;

/// The rows of the people who look like what `q` says, the likest first, at most
/// `limit`: for when nobody is called so. Empty where nothing in `q` can be misspelt.
pub(super) async fn alike(db: &mut PgConnection, q: &str, limit: i64) -> Result<Vec<i64>> {
    weighed(db, q, limit, |query, search, near| {
        query.push("(select w.contact_id as id, w.words as key from contact_words w where ");
        search.push_near(query, "w.words", near);
        query
            .push(" limit ")
            .push_bind(WEIGHED)
            .push(") union all (select a.id, a.search_key from contact_words_pending p");
        query.push(" join contacts a on a.id between p.first_id and p.last_id where ");
        search.push_near(query, "a.search_key", near);
        query.push(format!(" limit {WEIGHED}")).push(") union all (select c.id, k.name_key from companies k");
        query.push(" join contacts c on c.company_id = k.id where ");
        search.push_near(query, "k.name_key", near);
        query.push(" limit ").push_bind(WEIGHED).push(")");
    })
    .await
}

/// The rows of the companies whose names look like what `q` says, the likest first, at most `limit`.
pub(super) async fn alike_companies(db: &mut PgConnection, q: &str, limit: i64) -> Result<Vec<i64>> {
    weighed(db, q, limit, |query, search, near| {
        query.push("select k.id, k.name_key as key from companies k where ");
        search.push_near(query, "k.name_key", near);
        query.push(" limit ").push_bind(WEIGHED);
    })
    .await
}

/// The ids of the likest among the candidates that `push` selects as `id` and `key`. Slips are looked up much sooner
/// than likeness, and weigh more: where they are enough, nothing else is looked for.
async fn weighed(
    db: &mut PgConnection,
    q: &str,
    limit: i64,
    push: impl Fn(&mut QueryBuilder<Postgres>, &Search, Near),
) -> Result<Vec<i64>> {
    let Some(search) = Search::parse(q).filter(Search::may_be_misspelt) else { return Ok(Vec::new()) };
    let mut tx = db.begin().await?;
    lower_the_threshold(&mut tx).await?;
    let mut ids: Vec<i64> = Vec::new();
    for near in [Near::Slip, Near::Alike] {
        let mut query = QueryBuilder::new("select id from (select id, ");
        search.push_likeness(&mut query, "key");
        query.push(" as likeness from (");
        push(&mut query, &search, near);
        query
            .push(") candidates) weighed group by id order by max(likeness) desc, id limit ")
            .push_bind(limit);
        // Planned anew for what is asked: one plan for all words would be to go through an ordered index.
        ids = query.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
        if i64::try_from(ids.len()).is_ok_and(|it| it >= limit) {
            break;
        }
    }
    tx.commit().await?;
    Ok(ids)
}

/// For this transaction, let words count as alike from [`ALIKE`]. Weighing one row costs a hundred times what Postgres
/// reckons, so it would rather weigh row after row than ask the trigrams: that way is barred.
async fn lower_the_threshold(db: &mut PgConnection) -> Result<()> {
    sqlx::query!(
        r#"select set_config('pg_trgm.word_similarity_threshold', $1, true) as "alike",
            set_config('enable_seqscan', 'off', true) as "seqscan""#,
        ALIKE
    )
    .fetch_one(db)
    .await?;
    Ok(())
}
