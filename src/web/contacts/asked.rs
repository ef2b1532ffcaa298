//! What a list of contacts is asked for, as in its address: filters, order,
//! columns. To and from the domain's filter.

use crate::{
    chile::{comunas, pesos, text::tidy},
    contacts::{
        columns::{Choice as _, Column},
        contact_filter::{Owner, Within},
        contact_list::{Filter, Sort},
        views::Shows,
        vocabulary::{Kind, Lifecycle, Source},
    },
    error::{Error, Result},
    ids::{BulkActionId, CompanyId, ImportId, InterestId, ListId, SegmentId, StageId},
    reports::choices::Owner as Account,
    web::views::Viewed,
};
use axum::http::Uri;
use axum_extra::extract::Query;
use chrono::NaiveDate;
use serde::Deserialize;

/// The filters, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    pub(super) q: String,
    pub(super) company: String,
    pub(super) comuna: String,
    pub(super) industry: String,
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) lifecycle: String,
    pub(super) contactable: String,
    pub(super) import: String,
    pub(super) owner: String,
    /// Rows one by one: one of them is enough.
    pub(super) interest: Vec<String>,
    pub(super) stage: String,
    pub(super) created_from: String,
    pub(super) created_until: String,
    pub(super) birth_month: String,
    pub(super) visits: String,
    pub(super) spent: String,
    pub(super) active_from: String,
    pub(super) quiet_from: String,
    pub(super) sort: String,
    /// Codes with commas; what an address holds.
    pub(super) columns: String,
    /// Codes one by one: what the form of columns sends.
    pub(super) column: Vec<String>,
    /// The saved view that it began with.
    pub(super) view: String,
    pub(super) segment: String,
    pub(super) list: String,
    pub(super) bulk: String,
    pub(super) changed_by: String,
    pub(super) before: String,
    pub(super) after: String,
    /// `all`: count them to the last one.
    pub(super) count: String,
    /// `open`: the panel of filters is.
    pub(super) filters: String,
}

impl Asked {
    /// From the part of an address after its question mark. One that cannot be read is refused: it
    /// would ask for everybody.
    pub(in crate::web) fn parse(query: &str) -> Result<Asked> {
        let uri = format!("/?{query}").parse::<Uri>().ok();
        let read = uri.and_then(|it| Query::try_from_uri(&it).ok()).map(|Query(it)| it);
        read.ok_or_else(|| {
            Error::refused(
                "No pudimos leer los filtros de la lista. No se hizo nada: vuelve a la lista y repite.",
            )
        })
    }

    /// As a saved view would be asked for.
    pub(super) fn of(shows: &Shows<Filter>) -> Asked {
        let Shows { filter, sort, columns } = shows;
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let day = |it: Option<NaiveDate>| it.map(|it| it.to_string()).unwrap_or_default();
        let asked = Asked {
            q: filter.q.clone(),
            company: filter.company.map(|it| it.to_string()).unwrap_or_default(),
            comuna: text(&filter.comuna),
            industry: text(&filter.industry),
            kind: filter.kind.map(Kind::code).unwrap_or_default().to_owned(),
            source: filter.source.map(Source::code).unwrap_or_default().to_owned(),
            lifecycle: filter.lifecycle.map(Lifecycle::code).unwrap_or_default().to_owned(),
            contactable: filter.contactable.map_or("", |it| if it { "yes" } else { "no" }).to_owned(),
            import: filter.import.map(|it| it.to_string()).unwrap_or_default(),
            owner: filter.owner.map(Owner::code).unwrap_or_default(),
            interest: filter.interests.iter().map(ToString::to_string).collect(),
            stage: filter.stage.map(|it| it.to_string()).unwrap_or_default(),
            created_from: day(filter.created_from),
            created_until: day(filter.created_until),
            birth_month: filter.birth_month.map(|it| it.to_string()).unwrap_or_default(),
            visits: filter.visits_from.map(|it| it.to_string()).unwrap_or_default(),
            spent: filter.spent_from.map(|it| it.to_string()).unwrap_or_default(),
            active_from: day(filter.active_from),
            quiet_from: day(filter.quiet_from),
            segment: filter.segment.map(|it| it.to_string()).unwrap_or_default(),
            list: filter.list.map(|it| it.to_string()).unwrap_or_default(),
            bulk: filter.bulk.map(|it| it.to_string()).unwrap_or_default(),
            changed_by: filter.changed_by.map(|it| it.to_string()).unwrap_or_default(),
            sort: match sort {
                Sort::Name => "name".to_owned(),
                Sort::Activity => "activity".to_owned(),
                Sort::Spent => "spent".to_owned(),
                Sort::Visits => "visits".to_owned(),
                Sort::Newest | Sort::Given => String::new(),
            },
            ..Asked::default()
        };
        let columns = if *columns == asked.usual() { String::new() } else { Column::joined(columns) };
        Asked { columns, ..asked }
    }

    /// The first filter whose value cannot be read, by its name and as typed.
    pub(super) fn unread(&self) -> Option<(&'static str, &str)> {
        let filter = self.read();
        let figure = |typed: &str| pesos::whole(typed).filter(|it| *it >= 0);
        // What can be read among them says nothing of the one that cannot.
        let interest =
            self.interest.iter().find(|it| !it.trim().is_empty() && it.trim().parse::<i64>().is_err());
        if let Some(typed) = interest {
            return Some(("Interés", typed.as_str()));
        }
        [
            ("Etapa", &self.lifecycle, filter.lifecycle.is_some()),
            ("Origen", &self.source, filter.source.is_some()),
            ("Responsable", &self.owner, filter.owner.is_some()),
            ("Etapa del embudo", &self.stage, filter.stage.is_some()),
            ("Promociones por correo", &self.contactable, filter.contactable.is_some()),
            ("Tipo", &self.kind, filter.kind.is_some()),
            ("Comuna o región", &self.comuna, filter.comuna.is_some()),
            ("Empresa", &self.company, filter.company.is_some()),
            ("Importación", &self.import, filter.import.is_some()),
            ("Creado desde", &self.created_from, filter.created_from.is_some()),
            ("Creado hasta", &self.created_until, filter.created_until.is_some()),
            ("Mes de cumpleaños", &self.birth_month, filter.birth_month.is_some()),
            (
                "Visitas, al menos",
                &self.visits,
                figure(&self.visits).is_some_and(|it| i32::try_from(it).is_ok()),
            ),
            ("Gastado, al menos", &self.spent, figure(&self.spent).is_some()),
            ("Con actividad desde", &self.active_from, filter.active_from.is_some()),
            ("Sin actividad desde", &self.quiet_from, filter.quiet_from.is_some()),
        ]
        .into_iter()
        .find(|(_, typed, is_read)| !typed.trim().is_empty() && !is_read)
        .map(|(name, typed, _)| (name, typed.as_str()))
    }

    /// Whom it asks for. A value that cannot be read asks for nobody: leaving it out would show everybody, and what is
    /// done to all of a list would be done to them.
    pub(in crate::web) fn filter(&self) -> Filter {
        let nobody = self.unread().map(|_| Vec::new());
        Filter { among: nobody, ..self.read() }
    }

    fn read(&self) -> Filter {
        let text = |it: &String| Some(tidy(it)).filter(|it| !it.is_empty());
        let day = |it: &String| it.trim().parse::<NaiveDate>().ok();
        Filter {
            q: self.q.clone(),
            company: self.company.parse().ok().map(CompanyId),
            comuna: text(&self.comuna)
                .filter(|it| comunas::by_code(it).is_some() || comunas::region(it).is_some()),
            industry: text(&self.industry),
            kind: Kind::from_code(&self.kind),
            source: Source::from_code(&self.source),
            lifecycle: Lifecycle::from_code(&self.lifecycle),
            contactable: match self.contactable.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            import: self.import.parse().ok().map(ImportId),
            owner: Owner::from_code(&self.owner),
            interests: self.interests(),
            stage: self.stage.trim().parse().ok().map(StageId),
            created_from: day(&self.created_from),
            created_until: day(&self.created_until),
            birth_month: self.birth_month.parse().ok().filter(|it| (1..=12).contains(it)),
            visits_from: figure(&self.visits).and_then(|it| i32::try_from(it).ok()),
            spent_from: figure(&self.spent),
            active_from: day(&self.active_from),
            quiet_from: day(&self.quiet_from),
            segment: row(&self.segment).map(SegmentId),
            list: row(&self.list).map(ListId),
            bulk: row(&self.bulk).map(BulkActionId),
            changed_by: row(&self.changed_by).map(BulkActionId),
            within: Within::default(),
            among: None,
        }
    }

    /// What it shows, to be kept.
    pub(in crate::web) fn shows(&self) -> Shows<Filter> {
        Shows { filter: self.read(), sort: self.sort(), columns: self.columns() }
    }

    /// How many of the panel's filters are chosen.
    pub(super) fn chosen(&self) -> usize {
        let interest = self.interest.concat();
        let panel = [
            &self.lifecycle,
            &self.source,
            &self.kind,
            &self.contactable,
            &self.comuna,
            &self.industry,
            &self.owner,
            &interest,
            &self.stage,
            &self.created_from,
            &self.created_until,
            &self.birth_month,
            &self.visits,
            &self.spent,
            &self.active_from,
            &self.quiet_from,
        ];
        panel.iter().filter(|it| !it.is_empty()).count()
    }

    /// The list whose people are asked for, as in the address.
    pub(in crate::web) fn of_list(&self) -> String {
        self.list.clone()
    }

    /// Whether the page comes with its panel of filters.
    pub(super) fn shows_filters(&self) -> bool {
        self.filters == "open" || self.chosen() > 0
    }

    /// The address of the same list with that panel, open.
    pub(super) fn with_filters(&self) -> String {
        format!("{}{}filters=open", self.address(), self.and())
    }

    /// The interests that are asked for, each once.
    fn interests(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.interest.iter().filter_map(|it| it.trim().parse().ok()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether the panel offers what this one looks after: not of who has left, unless it was chosen.
    pub(super) fn may_ask_for(&self, owner: &Account) -> bool {
        owner.active || owner.id.to_string() == self.owner
    }

    /// Whether one of the interests that are asked for is `id`.
    pub(super) fn has_interest(&self, id: &InterestId) -> bool {
        self.interests().contains(&id.0)
    }

    pub(in crate::web) fn sort(&self) -> Sort {
        match self.sort.as_str() {
            "name" => Sort::Name,
            "activity" => Sort::Activity,
            "spent" => Sort::Spent,
            "visits" => Sort::Visits,
            _ => Sort::Newest,
        }
    }

    /// The columns while nobody chose: what the list is ordered by shows, in the room of where they live.
    fn usual(&self) -> Vec<Column> {
        let mut usual = Column::USUAL.to_vec();
        let figure = match self.sort() {
            Sort::Activity => Some(Column::LastActivity),
            Sort::Spent => Some(Column::Spent),
            Sort::Visits => Some(Column::Visits),
            Sort::Newest | Sort::Name | Sort::Given => None,
        };
        if let Some(figure) = figure {
            usual.retain(|it| *it != Column::Comuna);
            usual.push(figure);
        }
        usual
    }

    pub(in crate::web) fn columns(&self) -> Vec<Column> {
        let chosen = if self.column.is_empty() {
            Column::chosen(self.columns.split(','))
        } else {
            Column::chosen(self.column.iter().map(String::as_str))
        };
        chosen.unwrap_or_else(|| self.usual())
    }

    /// Everything that is asked for, by name, the page aside.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let columns = self.columns();
        let columns = if columns == self.usual() { String::new() } else { Column::joined(&columns) };
        let before = [
            ("q", &self.q),
            ("company", &self.company),
            ("comuna", &self.comuna),
            ("industry", &self.industry),
            ("kind", &self.kind),
            ("source", &self.source),
            ("lifecycle", &self.lifecycle),
            ("contactable", &self.contactable),
            ("import", &self.import),
            ("owner", &self.owner),
        ];
        let after = [
            ("stage", &self.stage),
            ("created_from", &self.created_from),
            ("created_until", &self.created_until),
            ("birth_month", &self.birth_month),
            ("visits", &self.visits),
            ("spent", &self.spent),
            ("active_from", &self.active_from),
            ("quiet_from", &self.quiet_from),
            ("segment", &self.segment),
            ("list", &self.list),
            ("bulk", &self.bulk),
            ("changed_by", &self.changed_by),
            ("sort", &self.sort),
            ("columns", &columns),
            ("view", &self.view),
        ];
        let interests = self.interest.iter().map(|it| ("interest", it));
        let pairs = before.into_iter().chain(interests).chain(after);
        pairs.filter(|it| !it.1.is_empty()).map(|(name, value)| (name, value.clone())).collect()
    }

    /// The pairs that the form of filters does not hold itself.
    pub(super) fn beside_filters(&self) -> Vec<(&'static str, String)> {
        const BESIDE: [&str; 8] =
            ["company", "import", "segment", "list", "bulk", "changed_by", "columns", "view"];
        self.pairs().into_iter().filter(|it| BESIDE.contains(&it.0)).collect()
    }

    /// The pairs that the form of columns does not hold itself.
    pub(super) fn beside_columns(&self) -> Vec<(&'static str, String)> {
        self.pairs().into_iter().filter(|it| it.0 != "columns").collect()
    }

    /// The part of the address after its question mark, the page aside.
    pub(in crate::web) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }

    /// The address of the list with these filters.
    pub(in crate::web) fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs());
        for (name, value) in [("before", &self.before), ("after", &self.after)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/contacts".to_owned() } else { format!("/contacts?{query}") }
    }

    /// What a further pair follows in the address.
    fn and(&self) -> char {
        if self.address().contains('?') { '&' } else { '?' }
    }

    /// The address of the same page with all of them counted.
    pub(super) fn counted(&self) -> String {
        format!("{}{}count=all", self.address(), self.and())
    }

    /// The address with one thing changed, from the first page.
    pub(super) fn with(&self, change: impl FnOnce(&mut Asked)) -> String {
        let mut other = Asked { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut other);
        other.address()
    }
}

impl Viewed for Asked {
    type Filter = Filter;
    const PATH: &'static str = "/contacts";
    const LEFT: &'static str = "Sus contactos siguen donde estaban.";

    fn parse(query: &str) -> Result<Asked> {
        Asked::parse(query)
    }

    fn of(shows: &Shows<Filter>) -> Asked {
        Asked::of(shows)
    }

    fn shows(&self) -> Shows<Filter> {
        self.shows()
    }

    fn unread(&self) -> Option<&'static str> {
        self.unread().map(|it| it.0)
    }

    fn view(&mut self) -> &mut String {
        &mut self.view
    }

    fn address(&self) -> String {
        self.address()
    }
}

/// A row as in an address; what is no number is no row either, and no reason to show everybody.
fn row(typed: &str) -> Option<i64> {
    (!typed.is_empty()).then(|| typed.parse().unwrap_or_default())
}

/// A figure as typed, of pesos or of visits; nothing asks for none.
fn figure(typed: &str) -> Option<i64> {
    pesos::whole(typed).filter(|it| *it > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_survives_being_kept() {
        let asked = Asked::parse(
            "q=ana&lifecycle=LEAD&interest=9&interest=7&interest=&stage=4&owner=none&birth_month=3&spent=%2450.000&visits=2&quiet_from=2026-11-01\
             &created_from=2026-01-01&sort=name&column=phone&column=email&comuna=10101&segment=7&list=3",
        )
        .unwrap();
        assert_eq!(asked.columns(), [Column::Email, Column::Phone]);
        assert_eq!(asked.filter().spent_from, Some(50_000));
        assert_eq!((asked.filter().interests, asked.filter().stage), (vec![7, 9], Some(StageId(4))));
        assert_eq!(asked.chosen(), 10, "the interests are one filter");
        let again = Asked::of(&asked.shows());
        assert_eq!(again.shows(), asked.shows());
        assert_eq!(Asked::parse(&again.query()).unwrap().shows(), asked.shows());
        for unread in [
            "lifecycle=VIP",
            "birth_month=13",
            "created_from=ayer",
            "visits=seis",
            "visits=9999999999",
            "import=x",
            "interest=7&interest=x",
            "stage=x",
        ] {
            let asked = Asked::parse(unread).unwrap();
            assert!(asked.unread().is_some(), "{unread}");
            assert_eq!(asked.filter().among, Some(Vec::new()), "{unread}: nobody");
        }
        assert_eq!(Asked::parse("visits=0&spent=$50.000&comuna=10").unwrap().unread(), None);
        assert!(Asked::parse("q=ana&q=beto").is_err(), "not everybody");
        assert_eq!(Asked::parse("segment=x").unwrap().filter().segment, Some(SegmentId(0)), "nobody");
    }
}
