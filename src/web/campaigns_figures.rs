//! What became of a campaign, as its page shows it: how far its messages got, when, at which mail services, and which
//! links were followed. Each number leads to its people, and each drawing stands beside the table that says the same.

use super::campaigns_axis::{self as axis, Tick};
use crate::{
    campaigns::{
        campaign::Campaign,
        figures::{self, Counts, Figures, TOLD},
        progress::Progress,
        wordings::Wordings,
    },
    chile::{format, time},
    error::Result,
    messaging::kinds::{Milestone, Status},
};
use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::PgConnection;

/// Longer than this, it is told by day.
const BY_HOUR: TimeDelta = TimeDelta::hours(48);

/// Columns of a drawing, at most: the first ones.
const COLUMNS: usize = 60;

/// Height and distance of columns, in units of their drawing.
const TALL: i64 = 40;
const WIDE: usize = 10;
/// Columns that there is room for at least: a few moments are a few narrow ones.
const FEW_COLUMNS: usize = 24;

/// One number with the people behind it.
pub(super) struct Figure {
    pub(super) count: i64,
    pub(super) href: String,
}

impl Figure {
    /// Whether there is anybody behind it.
    pub(super) fn any(&self) -> bool {
        self.count > 0
    }
}

/// One number, as long as it is against the others.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) figure: Figure,
    /// Of a hundred: how long its bar is.
    pub(super) length: i64,
    /// Of a hundred of those that left; none: it is not a part of them.
    pub(super) percent: Option<String>,
    /// What it does not say by itself.
    pub(super) note: &'static str,
}

/// One line of the drawing by hour or by day.
pub(super) struct Row {
    pub(super) label: &'static str,
    /// What its tallest column counts.
    pub(super) most: i64,
    pub(super) columns: Vec<Column>,
}

/// One column: where it stands and how tall it is, in units of the drawing.
pub(super) struct Column {
    pub(super) x: usize,
    pub(super) y: i64,
    pub(super) height: i64,
}

/// What happened within one hour or one day.
pub(super) struct Moment {
    pub(super) label: String,
    pub(super) cells: Vec<Figure>,
}

/// A mail service, or one of several texts.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) cells: Vec<Figure>,
}

/// All of it.
pub(super) struct Shown {
    pub(super) funnel: Vec<Bar>,
    /// What only machines did.
    pub(super) machines: Vec<Bar>,
    pub(super) tracks: bool,
    pub(super) by_hour: bool,
    pub(super) rows: Vec<Row>,
    pub(super) width: usize,
    /// The moments that are named under it.
    pub(super) axis: Vec<Tick>,
    /// What came after the drawing ends; none: nothing did.
    pub(super) followed: Option<String>,
    pub(super) moments: Vec<Moment>,
    /// What the columns of the tables by hour or day, by mail service and by text count.
    pub(super) what: Vec<&'static str>,
    pub(super) texts: Vec<Part>,
    /// Who got each text.
    pub(super) who_got_texts: &'static str,
    pub(super) domains: Vec<Part>,
    pub(super) more_domains: bool,
    pub(super) links: Vec<Bar>,
}

/// The figures of `campaign`; none: nothing has left yet.
pub(super) async fn of(
    db: &mut PgConnection,
    campaign: &Campaign,
    progress: &Progress,
) -> Result<Option<Shown>> {
    let figures = figures::of(&mut *db, campaign.id).await?;
    if figures.total(Milestone::Sent) == 0 {
        return Ok(None);
    }
    let wordings = Wordings::of(db, campaign.id).await?;
    let base = format!("/messages?campaign={}", campaign.id);
    // What was measured before somebody chose not to measure any more is still shown.
    let tracks = campaign.tracks || figures.total(Milestone::Opened) + figures.total(Milestone::Clicked) > 0;
    let is_told = |it: &Milestone| tracks || !matches!(it, Milestone::Opened | Milestone::Clicked);
    let what: Vec<Milestone> = TOLD.into_iter().filter(is_told).collect();
    let drawings = [Milestone::Sent, Milestone::Opened, Milestone::Clicked, Milestone::Replied];
    let drawings: Vec<Milestone> = drawings.into_iter().filter(is_told).collect();
    let (by_hour, drawable) = buckets(&figures, &drawings, None);
    // What comes a year later is in the table, and leaves the drawing as it was.
    let (_, told) = buckets(&figures, &what, Some(by_hour));
    let (drawn, followed) = drawable.split_at(drawable.partition_point(|it| it.place < COLUMNS));
    let places = drawn.last().map_or(0, |it| (it.place + 1).max(FEW_COLUMNS));
    Ok(Some(Shown {
        funnel: funnel(&figures, progress, tracks, &base),
        machines: machines(&figures, &base),
        tracks,
        by_hour,
        rows: drawings.iter().map(|it| row(*it, drawn)).collect(),
        width: places * WIDE,
        axis: drawn.first().map_or_else(Vec::new, |it| {
            if by_hour { axis::hours(it.from, places) } else { axis::days(it.from, places) }
        }),
        followed: (!followed.is_empty()).then(|| after(&drawings, followed)),
        moments: told.iter().rev().map(|it| moment(it, &what, by_hour, &base)).collect(),
        what: what.iter().map(|it| short(*it)).collect(),
        texts: texts(&figures, &wordings, &what, &base),
        who_got_texts: if wordings.own.is_empty() {
            "De todos los que lo recibieron: en la prueba o después."
        } else {
            "Del rubro que tenían al salirles; los demás recibieron el de la campaña."
        },
        domains: figures.domains.iter().map(|(name, counts)| domain(name, counts, &what, &base)).collect(),
        more_domains: figures.more_domains,
        links: links(&figures, &base),
    }))
}

fn funnel(figures: &Figures, progress: &Progress, tracks: bool, base: &str) -> Vec<Bar> {
    let sent = figures.total(Milestone::Sent);
    let queued = i64::try_from(progress.count(Status::Pending)).unwrap_or(i64::MAX);
    let most = sent.max(queued);
    let mut bars = vec![Bar {
        label: "En cola".to_owned(),
        figure: Figure { count: queued, href: format!("{base}&status=PENDING") },
        length: part(queued, most),
        percent: None,
        note: "",
    }];
    for it in TOLD {
        if !tracks && matches!(it, Milestone::Opened | Milestone::Clicked) {
            continue;
        }
        let count = figures.total(it);
        bars.push(Bar {
            label: it.label().to_owned(),
            figure: Figure { count, href: format!("{base}&reached={}", it.code()) },
            length: part(count, most),
            percent: (it != Milestone::Sent).then(|| percent(count, sent)),
            note: if it == Milestone::Delivered && count < sent / 2 {
                "de los que hay aviso: tu proveedor o una apertura"
            } else {
                ""
            },
        });
    }
    bars
}

fn machines(figures: &Figures, base: &str) -> Vec<Bar> {
    [Milestone::MachineOpened, Milestone::MachineClicked]
        .into_iter()
        .map(|it| Bar {
            label: it.label().to_owned(),
            figure: Figure { count: figures.total(it), href: format!("{base}&reached={}", it.code()) },
            length: 0,
            percent: None,
            note: "",
        })
        .filter(|it| it.figure.any())
        .collect()
}

/// An hour, or a local day where it lasts long, in which something happened.
struct Bucket {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// How many of them lie between the first and it.
    place: usize,
    counts: Counts,
}

impl Bucket {
    fn count(&self, what: Milestone) -> i64 {
        self.counts.get(&what).copied().unwrap_or_default()
    }
}

/// Those in which something of `what` happened, in order, and whether they are hours: where `by_hour` does not say, as
/// it lasts.
fn buckets(figures: &Figures, what: &[Milestone], by_hour: Option<bool>) -> (bool, Vec<Bucket>) {
    let shown = |counts: &Counts| -> Counts {
        counts.iter().filter(|it| what.contains(it.0)).map(|(what, count)| (*what, *count)).collect()
    };
    let hours: Vec<(DateTime<Utc>, Counts)> = figures
        .hours
        .iter()
        .map(|(hour, counts)| (*hour, shown(counts)))
        .filter(|it| !it.1.is_empty())
        .collect();
    let (Some((first, _)), Some((last, _))) = (hours.first(), hours.last()) else {
        return (by_hour.unwrap_or(true), Vec::new());
    };
    let (first, by_hour) = (*first, by_hour.unwrap_or(*last - *first < BY_HOUR));
    let mut found: Vec<Bucket> = Vec::new();
    for (hour, counts) in hours {
        if found.last().is_none_or(|it| it.until <= hour) {
            let day = time::local_date(hour);
            let (from, until, place) = if by_hour {
                (hour, hour + TimeDelta::hours(1), (hour - first).num_hours())
            } else {
                let place = (day - time::local_date(first)).num_days();
                (time::start_of_day(day), time::start_of_day(day + Days::new(1)), place)
            };
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            found.push(Bucket { from, until, place, counts: Counts::new() });
        }
        if let Some(bucket) = found.last_mut() {
            for (what, count) in counts {
                *bucket.counts.entry(what).or_default() += count;
            }
        }
    }
    (by_hour, found)
}

fn row(what: Milestone, buckets: &[Bucket]) -> Row {
    let most = buckets.iter().map(|it| it.count(what)).max().unwrap_or_default();
    let column = |bucket: &Bucket| {
        let height = (bucket.count(what) * TALL + most - 1).checked_div(most).unwrap_or_default();
        Column { x: bucket.place * WIDE + 1, y: TALL - height, height }
    };
    Row { label: short(what), most, columns: buckets.iter().map(column).filter(|it| it.height > 0).collect() }
}

/// `El dibujo llega a los primeros 60 días. Después: Abiertos 3, Con clic 1.` Hours never go on for so long.
fn after(what: &[Milestone], buckets: &[Bucket]) -> String {
    let sum = |what: &Milestone| -> i64 { buckets.iter().map(|it| it.count(*what)).sum() };
    let told = what.iter().map(|it| (short(*it), sum(it))).filter(|it| it.1 > 0);
    let told: Vec<String> = told.map(|(label, count)| format!("{label} {}", format::number(count))).collect();
    format!("El dibujo llega a los primeros {COLUMNS} días. Después: {}.", told.join(", "))
}

fn moment(bucket: &Bucket, what: &[Milestone], by_hour: bool, base: &str) -> Moment {
    let (from, until) = (bucket.from.timestamp(), bucket.until.timestamp());
    let cell = |it: &Milestone| {
        let href = format!("{base}&reached={}&from={from}&until={until}", it.code());
        Figure { count: bucket.count(*it), href }
    };
    Moment {
        label: if by_hour {
            format::datetime(bucket.from)
        } else {
            format::date(time::local_date(bucket.from))
        },
        cells: what.iter().map(cell).collect(),
    }
}

fn domain(name: &str, counts: &Counts, what: &[Milestone], base: &str) -> Part {
    let query: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    Part { name: name.to_owned(), cells: cells(counts, what, &format!("{base}&domain={query}")) }
}

fn texts(figures: &Figures, wordings: &Wordings, what: &[Milestone], base: &str) -> Vec<Part> {
    let text = |(place, counts): (&i16, &Counts)| Part {
        name: wordings.name(*place),
        cells: cells(counts, what, &format!("{base}&variant=text{place}")),
    };
    figures.texts.iter().map(text).collect()
}

fn cells(counts: &Counts, what: &[Milestone], base: &str) -> Vec<Figure> {
    let cell = |it: &Milestone| {
        let href = format!("{base}&reached={}", it.code());
        Figure { count: counts.get(it).copied().unwrap_or_default(), href }
    };
    what.iter().map(cell).collect()
}

fn links(figures: &Figures, base: &str) -> Vec<Bar> {
    let most = figures.links.first().map_or(0, |it| it.people);
    figures
        .links
        .iter()
        .map(|it| Bar {
            label: it.target.clone(),
            figure: Figure { count: it.people, href: format!("{base}&link={}.{}", it.template, it.number) },
            length: part(it.people, most),
            percent: None,
            note: "",
        })
        .collect()
}

/// Its name at the head of a narrow column.
fn short(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Opened => "Abiertos",
        other => other.label(),
    }
}

/// What part of a hundred `count` is of `all`: at least one, where there is anything.
fn part(count: i64, all: i64) -> i64 {
    if count <= 0 { 0 } else { (count * 100).checked_div(all).map_or(0, |it| it.clamp(1, 100)) }
}

/// `37,5 %`.
pub(super) fn percent(count: i64, all: i64) -> String {
    let tenths = (count * 1000 + all / 2).checked_div(all).unwrap_or_default();
    format!("{},{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        // Midnight of 23 November 2026 in Chile.
        "2026-11-23T03:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hour)
    }

    fn figures(hours: &[(i64, i64)]) -> Figures {
        let hours = hours.iter().map(|(hour, count)| (at(*hour), Counts::from([(Milestone::Sent, *count)])));
        Figures { hours: hours.collect(), ..Figures::default() }
    }

    fn found(hours: &[(i64, i64)]) -> (bool, Vec<(usize, i64)>) {
        let (by_hour, found) = buckets(&figures(hours), &[Milestone::Sent], None);
        (by_hour, found.iter().map(|it| (it.place, it.count(Milestone::Sent))).collect())
    }

    #[test]
    fn hours_without_anything_have_their_place() {
        assert_eq!(found(&[(9, 5), (12, 10)]), (true, vec![(0, 5), (3, 10)]));
        let row = row(Milestone::Sent, &buckets(&figures(&[(9, 5), (12, 10)]), &[Milestone::Sent], None).1);
        assert_eq!(row.columns.iter().map(|it| (it.x, it.height)).collect::<Vec<_>>(), [(1, 20), (31, 40)]);
    }

    #[test]
    fn what_lasts_long_is_told_by_local_day() {
        assert_eq!(found(&[(23, 1), (24, 2), (80, 4)]), (false, vec![(0, 1), (1, 2), (3, 4)]));
        // A year later is one line more, and not a year of nothing; of what is not shown there is none.
        assert_eq!(found(&[(1, 1), (365 * 24, 2)]), (false, vec![(0, 1), (365, 2)]));
        assert_eq!(buckets(&figures(&[(1, 1)]), &[Milestone::Opened], None).1.len(), 0);
    }

    #[test]
    fn parts_are_never_nothing_where_there_is_something() {
        assert_eq!([part(0, 10), part(1, 1_000_000), part(5, 10), part(3, 0)], [0, 1, 50, 0]);
        assert_eq!([percent(1, 3), percent(0, 0), percent(2, 2)], ["33,3 %", "0,0 %", "100,0 %"]);
    }
}
