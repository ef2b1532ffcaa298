//! Rules as people read them: a sentence in Spanish, and what a person's own value
//! is where a condition asks about it. Reads the names of what rules refer to.

use super::{
    evaluate::Facts,
    field::{Event, Field, Op, Shape},
    meaning::Meaning,
    rule::{Condition, Group, Join, Node},
};
use crate::{
    channels::Channel,
    chile::{comunas, format, rut::Rut},
    contacts::vocabulary::{Kind, Lifecycle, Source},
    error::Result,
};
use chrono::{Datelike as _, NaiveDate};
use sqlx::PgConnection;
use std::collections::HashMap;

/// A row that rules refer to.
#[derive(Clone, Debug, Default)]
struct Named {
    name: String,
    /// Whether a rule may still be given it.
    is_offered: bool,
    /// Whether it was removed, left, or was taken back.
    is_gone: bool,
}

/// The names of the rows that rules refer to.
#[derive(Clone, Debug, Default)]
pub struct Names {
    rows: HashMap<(Field, i64), Named>,
    /// Campaigns by row.
    campaigns: HashMap<i64, String>,
}

impl Names {
    /// The names of what can be chosen, which is what the builder offers, and of all that `rules` name,
    /// however old it is and whether it is still there to be chosen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load<'a>(
        db: &mut PgConnection,
        rules: impl IntoIterator<Item = &'a Group>,
    ) -> Result<Names> {
        let (mut fields, mut ids) = (Vec::new(), Vec::new());
        for it in rules.into_iter().flat_map(Group::conditions) {
            let named =
                it.values.iter().filter(|_| it.field.refers()).filter_map(|id| id.trim().parse().ok());
            for id in named {
                fields.push(it.field.code());
                ids.push(id);
            }
            if let Some(campaign) = it.campaign {
                fields.push("CAMPAIGN");
                ids.push(campaign);
            }
        }
        let rows = sqlx::query!(
            r#"with named as (select distinct field, id from unnest($1::text[], $2::bigint[]) n (field, id)),
               offered as (
                   (select 'OWNER' as field, id from staff_users where active order by id limit 500)
                   union all (select 'COMPANY_OWNER', id from staff_users where active order by id limit 500)
                   union all (select 'STAGE', id from pipeline_stages order by position limit 100)
                   union all (select 'INTEREST', id from interests order by id limit 2000)
                   union all (select 'IMPORT', id from imports where kind <> 'companies' and status = 'DONE' order by id desc limit 200)
                   union all (select 'LIST', id from lists where deleted_at is null order by id limit 1000)
                   union all (select 'SEGMENT', id from segments where deleted_at is null order by id limit 1000)
                   union all (select 'CAMPAIGN', id from campaigns order by id desc limit 500)
               ), wanted as (select * from offered union select * from named)
               select w.field as "field!", w.id as "id!", exists (select from offered o where o.field = w.field and o.id = w.id) as "is_offered!",
                      coalesce(s.name, p.name, i.name, f.filename, l.name, g.name, c.name) as "name!",
                      coalesce(not s.active, f.status = 'UNDONE', l.deleted_at is not null or g.deleted_at is not null) as "is_gone!"
               from wanted w
               left join staff_users s on w.field in ('OWNER', 'COMPANY_OWNER') and s.id = w.id
               left join pipeline_stages p on w.field = 'STAGE' and p.id = w.id
               left join interests i on w.field = 'INTEREST' and i.id = w.id
               left join imports f on w.field = 'IMPORT' and f.id = w.id
               left join lists l on w.field = 'LIST' and l.id = w.id
               left join segments g on w.field = 'SEGMENT' and g.id = w.id
               left join campaigns c on w.field = 'CAMPAIGN' and c.id = w.id
               where coalesce(s.name, p.name, i.name, f.filename, l.name, g.name, c.name) is not null"#,
            &fields as &[&str],
            &ids
        )
        .fetch_all(db)
        .await?;
        let mut names = Names::default();
        for row in rows {
            match Field::from_code(&row.field) {
                Some(field) => {
                    let it = Named { name: row.name, is_offered: row.is_offered, is_gone: row.is_gone };
                    names.rows.insert((field, row.id), it);
                }
                None => drop(names.campaigns.insert(row.id, row.name)),
            }
        }
        Ok(names)
    }

    /// What is said of a row of `field` that is not there to be chosen any more.
    fn gone(field: Field) -> &'static str {
        match field {
            Field::Owner | Field::CompanyOwner => "cuenta inactiva",
            Field::Import => "deshecha",
            Field::List => "eliminada",
            _ => "eliminado",
        }
    }

    /// A value of `field` as people read it.
    #[must_use]
    pub fn value(&self, field: Field, value: &str) -> String {
        let shown = match field {
            Field::Kind => Kind::from_code(value).map(Kind::label),
            Field::Lifecycle => Lifecycle::from_code(value).map(Lifecycle::label),
            Field::Source => Source::from_code(value).map(Source::label),
            Field::Contactable => Channel::from_code(value).map(Channel::label),
            Field::Comuna | Field::CompanyComuna => comunas::by_code(value).map(|it| it.name),
            Field::Region | Field::CompanyRegion => comunas::region(value).map(|it| it.name),
            Field::CompanyRut => {
                let each = value.split([',', ';']).map(|it| Rut::show(it.trim()));
                return each.collect::<Vec<_>>().join(" o ");
            }
            Field::BirthMonth => {
                value.parse::<usize>().ok().and_then(|it| format::MONTHS.get(it.wrapping_sub(1)).copied())
            }
            _ if field.refers() => {
                return match value.parse().ok().and_then(|id| self.rows.get(&(field, id))) {
                    Some(it) if it.is_gone => format!("{} ({})", it.name, Names::gone(field)),
                    Some(it) => it.name.clone(),
                    None => format!("n.º {value}"),
                };
            }
            _ => None,
        };
        shown.unwrap_or(value).to_owned()
    }

    /// The name of a campaign.
    #[must_use]
    pub fn campaign(&self, id: i64) -> String {
        self.campaigns.get(&id).cloned().unwrap_or_else(|| format!("n.º {id}"))
    }

    /// Every campaign by name, newest first.
    #[must_use]
    pub fn campaigns(&self) -> Vec<(i64, &str)> {
        let mut all: Vec<_> = self.campaigns.iter().map(|(id, name)| (*id, name.as_str())).collect();
        all.sort_unstable_by_key(|it| std::cmp::Reverse(it.0));
        all
    }

    /// Every row that a field may be given, by name.
    #[must_use]
    pub fn of(&self, field: Field) -> Vec<(String, String)> {
        let of_field = self.rows.iter().filter(|(key, it)| key.0 == field && it.is_offered);
        let mut all: Vec<_> = of_field.map(|(key, it)| (key.1.to_string(), it.name.clone())).collect();
        all.sort_by_cached_key(|it| it.1.to_lowercase());
        all
    }

    /// The rule as a sentence.
    #[must_use]
    pub fn sentence(&self, rule: &Group, today: NaiveDate) -> String {
        match (rule.items.len(), rule.join) {
            (0, Join::All) => "Todas las personas".to_owned(),
            (0, Join::Any) => "Nadie: la regla no tiene condiciones".to_owned(),
            (1, _) => format!("Personas que cumplen: {}", self.parts(rule, today)),
            (_, Join::All) => format!("Personas que cumplen todas: {}", self.parts(rule, today)),
            (_, Join::Any) => format!("Personas que cumplen alguna: {}", self.parts(rule, today)),
        }
    }

    fn parts(&self, group: &Group, today: NaiveDate) -> String {
        let parts: Vec<String> = group
            .items
            .iter()
            .map(|item| match item {
                Node::Group(inner) if inner.items.is_empty() => "(grupo vacío)".to_owned(),
                Node::Group(inner) => format!("({})", self.parts(inner, today)),
                Node::Condition(it) => self.condition(it, today),
            })
            .collect();
        parts.join(if group.join == Join::All { " y " } else { " o " })
    }

    /// One condition in words.
    #[must_use]
    pub fn condition(&self, condition: &Condition, today: NaiveDate) -> String {
        if Meaning::of(condition, today).is_err() {
            return format!("{} (por completar)", condition.field.label());
        }
        match condition.field.shape() {
            Shape::Words => Names::words(condition),
            Shape::Choice => self.choice(condition),
            Shape::Present if condition.op == Op::Known => format!("tiene {}", condition.field.label()),
            Shape::Present => format!("no tiene {}", condition.field.label()),
            Shape::Number | Shape::Money => number(condition),
            Shape::Day => day(condition),
            Shape::Message => self.message(condition),
        }
    }

    fn words(condition: &Condition) -> String {
        let typed = condition.values.first().map_or("", |it| it.trim());
        let (yes, no) = match condition.field {
            Field::Bought => ("compró o hizo algo con", "nunca compró ni hizo algo con"),
            Field::JobTitle => ("el cargo contiene", "el cargo no contiene"),
            Field::CompanyName => ("el nombre de su empresa contiene", "el nombre de su empresa no contiene"),
            _ => ("nombre, correo o teléfono contiene", "nombre, correo y teléfono no contienen"),
        };
        let said = if condition.op.is_negative() { no } else { yes };
        match condition.days.trim() {
            "" => format!("{said} «{typed}»"),
            days => format!("{} «{typed}» en {}", said.replace("nunca", "no"), last_days(days)),
        }
    }

    fn choice(&self, condition: &Condition) -> String {
        let field = condition.field;
        match condition.op {
            Op::Known => return format!("tiene {}", field.label()),
            Op::Unknown => return format!("no tiene {}", field.label()),
            _ => {}
        }
        let negative = condition.op.is_negative();
        let values: Vec<String> = condition
            .values
            .iter()
            .map(|it| it.trim())
            .filter(|it| !it.is_empty())
            .map(|it| self.value(field, it))
            .collect();
        let values = values.join(if negative { " ni " } else { " o " });
        let (yes, no) = match field {
            Field::Interest => ("le interesa", "no le interesa"),
            Field::List => ("está en la lista", "no está en la lista"),
            Field::Segment => ("está en el segmento", "no está en el segmento"),
            Field::Import => ("vino en la importación", "no vino en la importación"),
            Field::Contactable => ("se le puede escribir por", "no se le puede escribir por"),
            Field::BirthMonth => ("cumple años en", "no cumple años en"),
            _ => {
                let verb = if negative { "no es" } else { "es" };
                return format!("{} {verb} {values}", field.label());
            }
        };
        format!("{} {values}", if negative { no } else { yes })
    }

    fn message(&self, condition: &Condition) -> String {
        let verb = condition.event.unwrap_or(Event::Received).label();
        let times = days(&condition.times).filter(|it| *it > 1).map(format::number);
        let object = match (condition.campaign, condition.op.is_negative()) {
            (None, _) if times.is_some() => format!("al menos {} mensajes", times.unwrap_or_default()),
            (Some(id), _) if times.is_some() => {
                format!("al menos {} mensajes de «{}»", times.unwrap_or_default(), self.campaign(id))
            }
            (Some(id), _) => format!("un mensaje de «{}»", self.campaign(id)),
            (None, false) => "algún mensaje".to_owned(),
            (None, true) => "ningún mensaje".to_owned(),
        };
        let object = if verb == "le rebotó" { object.replace("ningún", "algún") } else { object };
        let not = if condition.op.is_negative() { "no " } else { "" };
        let days = condition.days.trim();
        let when = if days.is_empty() { String::new() } else { format!(" en {}", last_days(days)) };
        format!("{not}{verb} {object}{when}")
    }

    /// What `facts` hold where `condition` asks, in words; empty: nothing.
    #[must_use]
    pub fn own(&self, condition: &Condition, facts: &Facts, today: NaiveDate) -> String {
        let ids = |ids: &[i64]| -> String {
            ids.iter().map(|it| self.value(condition.field, &it.to_string())).collect::<Vec<_>>().join(", ")
        };
        let company = facts.company.as_ref();
        match condition.field {
            Field::Words => facts.search_key.clone(),
            Field::Kind => if company.is_some() { Kind::Business } else { Kind::Person }.label().to_owned(),
            Field::Lifecycle => self.value(Field::Lifecycle, &facts.lifecycle),
            Field::Source => self.value(Field::Source, &facts.source),
            Field::Owner => facts.owner.map(|it| ids(&[it])).unwrap_or_default(),
            Field::CompanyOwner => facts.company_owner().map(|it| ids(&[it])).unwrap_or_default(),
            Field::Stage => facts.stage.map(|it| ids(&[it])).unwrap_or_default(),
            Field::JobTitle => facts.job_title.clone().unwrap_or_default(),
            Field::Comuna => facts.place_name().unwrap_or_default().to_owned(),
            Field::Region => facts
                .place()
                .and_then(|it| comunas::region(it.get(..2)?))
                .map_or(String::new(), |it| it.name.to_owned()),
            Field::Interest => ids(&facts.interests),
            Field::Import => ids(&facts.imports),
            Field::List => ids(&facts.lists),
            Field::Email | Field::EmailDomain => facts.email.clone().unwrap_or_default(),
            Field::Phone => facts.phone.clone().unwrap_or_default(),
            Field::BirthMonth => facts
                .birth_date
                .map_or(String::new(), |it| self.value(Field::BirthMonth, &it.month().to_string())),
            Field::CompanyRut => company.and_then(|it| it.rut.as_deref()).map(Rut::show).unwrap_or_default(),
            Field::CompanyName => company.map(|it| it.name_key.clone()).unwrap_or_default(),
            Field::CompanyIndustry => company.and_then(|it| it.industry.clone()).unwrap_or_default(),
            Field::CompanyComuna => {
                company.and_then(|it| it.comuna.as_deref()).map(comunas::name).unwrap_or_default().to_owned()
            }
            Field::CompanyRegion => company
                .and_then(|it| comunas::region(it.comuna.as_deref()?.get(..2)?))
                .map_or(String::new(), |it| it.name.to_owned()),
            Field::Spent | Field::AverageTicket => {
                facts.number(condition.field, today).map(format::money).unwrap_or_default()
            }
            Field::Age | Field::Visits | Field::Purchases | Field::Enrolments => {
                facts.number(condition.field, today).map(format::number).unwrap_or_default()
            }
            Field::Bought => {
                let told = facts.items.iter().map(|(item, on)| format!("{item} ({})", format::date(*on)));
                told.collect::<Vec<_>>().join(", ")
            }
            Field::Contactable => facts.reach.iter().map(|it| it.label()).collect::<Vec<_>>().join(", "),
            Field::Message => {
                let event = condition.event.unwrap_or(Event::Received);
                let of_campaign = facts
                    .messages
                    .iter()
                    .filter(|it| condition.campaign.is_none() || it.campaign == condition.campaign);
                let came: Vec<_> = of_campaign.filter_map(|it| it.at(event)).collect();
                let count =
                    format::count(i64::try_from(came.len()).unwrap_or(i64::MAX), "mensaje", "mensajes");
                let last = came.into_iter().max();
                last.map(|it| format!("{count}, la última vez el {}", format::datetime(it)))
                    .unwrap_or_default()
            }
            Field::Segment => String::new(),
            Field::Created
            | Field::BirthDate
            | Field::FollowUp
            | Field::LastVisit
            | Field::LastPurchase
            | Field::LastActivity => facts.day(condition.field).map(format::date).unwrap_or_default(),
        }
    }
}

fn number(condition: &Condition) -> String {
    let show = |it: &String| {
        let digits: String = it.chars().filter(char::is_ascii_digit).collect();
        let number = digits.parse().unwrap_or_default();
        if condition.field.shape() == Shape::Money { format::money(number) } else { format::number(number) }
    };
    let figures: Vec<String> = condition.values.iter().map(show).take(2).collect();
    let unit = match (condition.field, figures.last().map(String::as_str)) {
        (Field::Age, Some("1")) => " año",
        (Field::Age, _) => " años",
        _ => "",
    };
    format!("{} {} {}{unit}", condition.field.label(), condition.op.label(), figures.join(" y "))
}

fn day(condition: &Condition) -> String {
    let label = condition.field.label();
    let typed = |place: usize| condition.values.get(place).map_or("", |it| it.trim());
    let date = |place: usize| {
        let day = NaiveDate::parse_from_str(typed(place), "%Y-%m-%d");
        day.map_or_else(|_| typed(place).to_owned(), format::date)
    };
    match condition.op {
        Op::WithinDays if days(typed(0)) == Some(0) => format!("{label} hoy"),
        Op::WithinDays => format!("{label} en {}", last_days(typed(0))),
        Op::BeforeDays if days(typed(0)) == Some(0) => format!("{label} antes de hoy"),
        Op::BeforeDays => match days(typed(0)) {
            Some(days) => format!("{label} hace más de {}", format::count(days, "día", "días")),
            None => format!("{label} hace más de {} días", typed(0)),
        },
        Op::Since => format!("{label} desde el {}", date(0)),
        Op::Until => format!("{label} hasta el {}", date(0)),
        Op::Known => format!("tiene {label}"),
        Op::Unknown => format!("no tiene {label}"),
        _ => format!("{label} entre el {} y el {}", date(0), date(1)),
    }
}

/// Days as typed: `1.000` is a thousand.
fn days(typed: &str) -> Option<i64> {
    typed.chars().filter(|it| !". ".contains(*it)).collect::<String>().parse().ok()
}

/// `los últimos 30 días`.
fn last_days(typed: &str) -> String {
    match days(typed) {
        Some(0) => "el día de hoy".to_owned(),
        Some(1) => "el último día".to_owned(),
        Some(days) => format!("los últimos {} días", format::number(days)),
        None => format!("los últimos {typed} días"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_like_a_sentence() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let yoga = Named { name: "Yoga".to_owned(), is_offered: true, is_gone: false };
        let names = Names { rows: HashMap::from([((Field::Interest, 3), yoga)]), ..Names::default() };
        let check = |rule: &Group, expected: &str| assert_eq!(names.sentence(rule, today), expected);
        let comuna = Condition::with(Field::Comuna, Op::Is, &["10109"]);
        let spent = Condition::with(Field::Spent, Op::MoreThan, &["50000"]);
        check(
            &Group::all([comuna.clone(), spent.clone()]),
            "Personas que cumplen todas: comuna es Puerto Varas y gasto mayor que $50.000",
        );
        let unread = Condition {
            op: Op::DidNot,
            event: Some(Event::Opened),
            days: "30".to_owned(),
            ..Condition::new(Field::Message)
        };
        let inner = Group::any([
            Condition::with(Field::Interest, Op::Is, &["3"]),
            Condition::with(Field::LastVisit, Op::BeforeDays, &["90"]),
        ]);
        let mut rule = Group::all([unread]);
        rule.items.push(inner.into());
        check(
            &rule,
            "Personas que cumplen todas: no abrió ningún mensaje en los últimos 30 días y \
             (le interesa Yoga o última visita hace más de 90 días)",
        );
        check(&Group::all([Condition::new(Field::Spent)]), "Personas que cumplen: gasto (por completar)");
        check(&Group::default(), "Todas las personas");
        check(&Group::any([]), "Nadie: la regla no tiene condiciones");
        let one = |field, op, values: &[&str], expected: &str| {
            let rule = Group::all([Condition::with(field, op, values)]);
            check(&rule, &format!("Personas que cumplen: {expected}"));
        };
        one(Field::LastVisit, Op::BeforeDays, &["1"], "última visita hace más de 1 día");
        one(Field::LastVisit, Op::BeforeDays, &["0"], "última visita antes de hoy");
        one(Field::LastVisit, Op::WithinDays, &["1"], "última visita en el último día");
        one(Field::LastVisit, Op::WithinDays, &["0"], "última visita hoy");
        one(Field::LastVisit, Op::WithinDays, &["1.000"], "última visita en los últimos 1.000 días");
        one(Field::Age, Op::AtMost, &["1"], "edad a lo más 1 año");
        one(Field::CompanyRut, Op::Is, &["125319092"], "RUT de su empresa es 12.531.909-2");
        let bought = |op, days: &str, told: &str| {
            let it = Condition { days: days.to_owned(), ..Condition::with(Field::Bought, op, &["Yoga"]) };
            check(&Group::all([it]), &format!("Personas que cumplen: {told}"));
        };
        bought(Op::Contains, "90", "compró o hizo algo con «Yoga» en los últimos 90 días");
        bought(Op::NotContains, "90", "no compró ni hizo algo con «Yoga» en los últimos 90 días");
        bought(Op::NotContains, "", "nunca compró ni hizo algo con «Yoga»");
        let often = |op, times: &str, told: &str| {
            let it = Condition { op, times: times.to_owned(), ..Condition::new(Field::Message) };
            check(&Group::all([it]), &format!("Personas que cumplen: {told}"));
        };
        often(Op::Did, "3", "recibió al menos 3 mensajes");
        often(Op::DidNot, "3", "no recibió al menos 3 mensajes");
        often(Op::Did, "1", "recibió algún mensaje");
        one(Field::Age, Op::Between, &["1", "2"], "edad entre 1 y 2 años");
    }
}
