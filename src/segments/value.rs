//! The automatic segments: nine by visits and spend, and three more. Their rules
//! follow thresholds that the business sets, and are segments like any other.

use super::{
    field::{Field, Op},
    rule::{Condition, Group, Join, Node},
    segment,
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::format,
    config::FirstValues,
    db::Tx,
    error::{Error, FieldError, OnConstraint as _, Result},
    ids::{ContactId, SegmentId},
    settings::{self, Subject},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

/// Where one segment ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// Visits from which somebody is regular.
    pub regular_from: i64,
    /// Visits from which somebody is VIP.
    pub vip_from: i64,
    /// Pesos from which spend is medium.
    pub medium_from: i64,
    /// Pesos above which spend is high.
    pub high_above: i64,
    /// Days without activity after which somebody is away, and within which a customer is active.
    pub inactive_days: i64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            regular_from: 2,
            vip_from: 6,
            medium_from: 50_000,
            high_above: 150_000,
            inactive_days: 90,
        }
    }
}

impl Subject for Thresholds {
    const NAME: &'static str = "value_segments";

    fn first(_: &FirstValues) -> Thresholds {
        Thresholds::default()
    }
}

impl Thresholds {
    /// What is wrong at which field.
    #[must_use]
    pub fn problems(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut check = |holds: bool, field: &'static str, message: &str| {
            if !holds {
                wrong.push(FieldError::new(field, message));
            }
        };
        check((1..=10_000).contains(&self.regular_from), "regular_from", "Escribe de 1 a 10.000 visitas.");
        check(
            self.vip_from > self.regular_from && self.vip_from <= 100_000,
            "vip_from",
            "Debe ser mayor que las visitas de un cliente regular.",
        );
        check(
            (1..=1_000_000_000).contains(&self.medium_from),
            "medium_from",
            "Escribe un monto entre 1 y 1.000.000.000.",
        );
        check(
            self.high_above >= self.medium_from && self.high_above <= 1_000_000_000_000,
            "high_above",
            "Debe ser igual o mayor que el monto anterior.",
        );
        check((1..=3_650).contains(&self.inactive_days), "inactive_days", "Escribe de 1 a 3.650 días.");
        wrong
    }
}

/// How often somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frequency {
    /// Hardly yet.
    New,
    /// Some times.
    Regular,
    /// Often.
    Vip,
}

/// How much somebody spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spend {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl Frequency {
    /// Every one, from least.
    pub const ALL: [Frequency; 3] = [Frequency::New, Frequency::Regular, Frequency::Vip];

    /// As in the key of the segment.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Frequency::New => "NEW",
            Frequency::Regular => "REGULAR",
            Frequency::Vip => "VIP",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Frequency::New => "Nuevo",
            Frequency::Regular => "Regular",
            Frequency::Vip => "VIP",
        }
    }

    /// What it takes.
    #[must_use]
    pub fn explain(self, at: &Thresholds) -> String {
        match self {
            Frequency::New if at.regular_from == 1 => "sin visitas".to_owned(),
            Frequency::New => format!("hasta {}", format::count(at.regular_from - 1, "visita", "visitas")),
            Frequency::Regular if at.regular_from == at.vip_from - 1 => {
                format::count(at.regular_from, "visita", "visitas")
            }
            Frequency::Regular => format!(
                "de {} a {}",
                format::number(at.regular_from),
                format::count(at.vip_from - 1, "visita", "visitas")
            ),
            Frequency::Vip => format!("{} o más", format::count(at.vip_from, "visita", "visitas")),
        }
    }

    fn condition(self, at: &Thresholds) -> Condition {
        let text = |it: i64| it.to_string();
        match self {
            Frequency::New => Condition::with(Field::Visits, Op::LessThan, &[&text(at.regular_from)]),
            Frequency::Regular => {
                Condition::with(Field::Visits, Op::Between, &[&text(at.regular_from), &text(at.vip_from - 1)])
            }
            Frequency::Vip => Condition::with(Field::Visits, Op::AtLeast, &[&text(at.vip_from)]),
        }
    }
}

impl Spend {
    /// Every one, from least.
    pub const ALL: [Spend; 3] = [Spend::Low, Spend::Medium, Spend::High];

    /// As in the key of the segment.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Spend::Low => "LOW",
            Spend::Medium => "MEDIUM",
            Spend::High => "HIGH",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Spend::Low => "gasto bajo",
            Spend::Medium => "gasto medio",
            Spend::High => "gasto alto",
        }
    }

    /// What it takes.
    #[must_use]
    pub fn explain(self, at: &Thresholds) -> String {
        match self {
            Spend::Low => format!("menos de {}", format::money(at.medium_from)),
            Spend::Medium => {
                format!("de {} a {}", format::money(at.medium_from), format::money(at.high_above))
            }
            Spend::High => format!("más de {}", format::money(at.high_above)),
        }
    }

    fn condition(self, at: &Thresholds) -> Condition {
        let (low, high) = (at.medium_from.to_string(), at.high_above.to_string());
        match self {
            Spend::Low => Condition::with(Field::Spent, Op::LessThan, &[&low]),
            Spend::Medium => Condition::with(Field::Spent, Op::Between, &[&low, &high]),
            Spend::High => Condition::with(Field::Spent, Op::MoreThan, &[&high]),
        }
    }
}

/// Every automatic segment: key, name, rule.
#[must_use]
pub fn automatic(at: &Thresholds) -> Vec<(String, String, Group)> {
    let mut all = Vec::new();
    for frequency in Frequency::ALL {
        for spend in Spend::ALL {
            all.push((
                key(frequency, spend),
                format!("{}, {}", frequency.label(), spend.label()),
                Group::all([frequency.condition(at), spend.condition(at)]),
            ));
        }
    }
    let days = at.inactive_days.to_string();
    let before = |field| Condition::with(field, Op::BeforeDays, &[&days]);
    all.push((
        "ZERO_SPEND".to_owned(),
        "Sin gasto".to_owned(),
        Group::all([Condition::with(Field::Spent, Op::Equals, &["0"])]),
    ));
    let never = Group::all([Condition::with(Field::LastActivity, Op::Unknown, &[]), before(Field::Created)]);
    all.push((
        "INACTIVE_90_DAYS".to_owned(),
        format!("Sin actividad hace {}", format::count(at.inactive_days, "día", "días")),
        Group {
            join: Join::Any,
            items: vec![Node::Condition(before(Field::LastActivity)), Node::Group(never)],
        },
    ));
    all.push((
        "ACTIVE_CUSTOMERS".to_owned(),
        "Clientes activos".to_owned(),
        Group::all([
            Condition::with(Field::Lifecycle, Op::Is, &["CLIENTE"]),
            Condition::with(Field::LastActivity, Op::WithinDays, &[&days]),
        ]),
    ));
    all
}

fn key(frequency: Frequency, spend: Spend) -> String {
    format!("{}_{}", frequency.code(), spend.code())
}

/// Set the thresholds; the automatic segments follow.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`], or the database's.
pub async fn set(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    before: &Thresholds,
    thresholds: &Thresholds,
) -> Result<()> {
    actor.require(Permission::EditSettings)?;
    let wrong = thresholds.problems();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    settings::save(tx, now, actor.staff_id(), thresholds).await?;
    for (key, name, rule) in automatic(thresholds) {
        let rule = serde_json::to_value(&rule).map_err(|it| Error::Internal(it.to_string()))?;
        let changed = sqlx::query_scalar!(
            "update segments set name = $2, rule = $3, version = version + 1, updated_at = $4
             where key = $1 and (rule <> $3 or name <> $2) returning id",
            key,
            name,
            rule,
            now
        )
        .fetch_optional(&mut **tx)
        .await
        .on_constraint("segments_name_once", || {
            let taken =
                format!("Ya hay otro segmento llamado «{name}»: cámbiale el nombre y guarda otra vez.");
            Error::invalid("inactive_days", taken)
        })?;
        if let Some(id) = changed {
            segment::keep_version(tx, now, actor, SegmentId(id)).await?;
        }
    }
    let change = audit::Change {
        action: "settings.update",
        subject_kind: Thresholds::NAME,
        subject_id: None,
        before: serde_json::to_value(before).ok(),
        after: serde_json::to_value(thresholds).ok(),
    };
    audit::record(tx, now, actor, change).await
}

/// One of the nine, as things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// How often its people come.
    pub frequency: Frequency,
    /// How much they spend.
    pub spend: Spend,
    /// The segment.
    pub id: SegmentId,
    /// People.
    pub people: i64,
    /// What they spent in all.
    pub spent: i64,
}

/// The nine with their people and their money, each sum read once.
///
/// # Errors
/// When the database fails.
pub async fn grid(db: &mut PgConnection, at: &Thresholds) -> Result<Vec<Cell>> {
    // Who has no row of sums has zeros, as who was joined into another has: everybody who is in no other is in the first.
    let rows = sqlx::query!(
        r#"with counted as (
               select case when visits < $1::bigint then 'NEW' when visits < $2::bigint then 'REGULAR' else 'VIP' end
                      || case when spent < $3 then '_LOW' when spent <= $4 then '_MEDIUM' else '_HIGH' end as key,
                      count(*) as people, sum(spent)::bigint as spent
               from contact_metrics group by 1
           ), rest as (
               select count(*) - (select coalesce(sum(people), 0)::bigint from counted) as people
               from contacts where merged_into is null
           )
           select s.id as "id!", s.key as "key!",
                  coalesce(n.people, 0) + case when s.key = 'NEW_LOW' then (select people from rest) else 0 end as "people!",
                  coalesce(n.spent, 0) as "spent!"
           from segments s left join counted n on n.key = s.key
           where s.kind = 'VALUE'"#,
        at.regular_from,
        at.vip_from,
        at.medium_from,
        at.high_above
    )
    .fetch_all(db)
    .await?;
    let mut cells = Vec::new();
    for frequency in Frequency::ALL {
        for spend in Spend::ALL {
            let key = key(frequency, spend);
            if let Some(it) = rows.iter().find(|it| it.key == key) {
                cells.push(Cell {
                    frequency,
                    spend,
                    id: SegmentId(it.id),
                    people: it.people,
                    spent: it.spent,
                });
            }
        }
    }
    Ok(cells)
}

/// Where one person stands among the nine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How often they come.
    pub frequency: Frequency,
    /// How much they spend.
    pub spend: Spend,
    /// The segment.
    pub id: SegmentId,
    /// Its name.
    pub name: String,
    /// Why: their visits and pesos, with what the segment takes.
    pub reason: String,
}

/// Where `contact` stands among the nine; none: the segment is not there.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, at: &Thresholds, contact: ContactId) -> Result<Option<Standing>> {
    let row = sqlx::query!(
        r#"with it as (
               select coalesce(m.visits, 0)::bigint as visits, coalesce(m.spent, 0) as spent
               from contacts c left join contact_metrics m on m.contact_id = c.id where c.id = $1
           )
           select it.visits as "visits!", it.spent as "spent!", s.id, s.name
           from it join segments s on s.key =
               case when visits < $2 then 'NEW' when visits < $3 then 'REGULAR' else 'VIP' end
               || case when spent < $4 then '_LOW' when spent <= $5 then '_MEDIUM' else '_HIGH' end"#,
        contact.0,
        at.regular_from,
        at.vip_from,
        at.medium_from,
        at.high_above
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|it| {
        let frequency = match it.visits {
            n if n < at.regular_from => Frequency::New,
            n if n < at.vip_from => Frequency::Regular,
            _ => Frequency::Vip,
        };
        let spend = match it.spent {
            n if n < at.medium_from => Spend::Low,
            n if n <= at.high_above => Spend::Medium,
            _ => Spend::High,
        };
        Standing {
            frequency,
            spend,
            id: SegmentId(it.id),
            name: it.name,
            reason: format!(
                "{} ({}) y {} de gasto ({})",
                format::count(it.visits, "visita", "visitas"),
                frequency.explain(at),
                format::money(it.spent),
                spend.explain(at)
            ),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_belong_where_the_business_reads_them() {
        let at = Thresholds::default();
        let check = |visits: i64, spent: i64, key: &str| {
            let facts = super::super::evaluate::Facts { visits, spent, ..Default::default() };
            let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
            let nine = automatic(&at).into_iter().take(9);
            let holding: Vec<String> = nine
                .filter(|it| facts.satisfy(&it.2, &super::super::evaluate::Library::new(), today))
                .map(|it| it.0)
                .collect();
            assert_eq!(holding, [key], "{visits} visits, {spent} pesos");
        };
        check(0, 0, "NEW_LOW");
        check(1, 49_999, "NEW_LOW");
        check(2, 50_000, "REGULAR_MEDIUM");
        check(5, 150_000, "REGULAR_MEDIUM");
        check(6, 150_001, "VIP_HIGH");
        let daily = Thresholds { regular_from: 1, vip_from: 2, inactive_days: 1, ..at };
        let told = Frequency::ALL.map(|it| it.explain(&daily));
        assert_eq!(told, ["sin visitas", "1 visita", "2 visitas o más"]);
        assert_eq!(automatic(&daily)[10].1, "Sin actividad hace 1 día");
        let many = Thresholds { regular_from: 2, vip_from: 1_001, ..at };
        assert_eq!(Frequency::Regular.explain(&many), "de 2 a 1.000 visitas");
        assert_eq!(automatic(&at).len(), 12);
        assert_eq!(at.problems(), Vec::new());
        assert_eq!(Thresholds { vip_from: 2, ..at }.problems().len(), 1);
    }
}
