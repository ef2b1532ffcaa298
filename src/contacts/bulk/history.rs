//! The past in bulk: whose each staged purchase, visit or enrolment is, which of
//! them the base has already, and writing the rest.
//!
//! Two equal rows of one file are two events; the same file again adds nothing:
//! of each event the base keeps as many as the file that has the most of them.

use super::{Basis, grants, hold_matched, look_out, run};
use crate::{
    contacts::{metrics, search_index},
    db::Tx,
    error::Result,
    ids::ImportId,
};
use chrono::{DateTime, Utc};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HistoryKind {
    /// Something was bought.
    Purchase,
    /// The person came.
    Visit,
    /// The person enrolled in a workshop or a course.
    Enrolment,
}

impl HistoryKind {
    /// Every kind.
    pub const ALL: [HistoryKind; 3] = [HistoryKind::Purchase, HistoryKind::Visit, HistoryKind::Enrolment];

    /// As stored and as in forms.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            HistoryKind::Purchase => "PURCHASE",
            HistoryKind::Visit => "VISIT",
            HistoryKind::Enrolment => "ENROLMENT",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<HistoryKind> {
        HistoryKind::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            HistoryKind::Purchase => "Compra",
            HistoryKind::Visit => "Visita",
            HistoryKind::Enrolment => "Inscripción",
        }
    }

    /// The kind that words in a file stand for: "Fecha de visita", "VENTA", "Taller de cerámica".
    #[must_use]
    pub fn from_words(text: &str) -> Option<HistoryKind> {
        let folded = crate::chile::text::fold(text);
        let stands_for = |word: &str| match word {
            "compra" | "compras" | "venta" | "ventas" | "boleta" | "factura" | "pedido" | "purchase"
            | "sale" | "order" => Some(HistoryKind::Purchase),
            "visita" | "visitas" | "atencion" | "reserva" | "sesion" | "asistencia" | "cita" | "visit"
            | "booking" => Some(HistoryKind::Visit),
            "inscripcion" | "inscripciones" | "matricula" | "taller" | "talleres" | "curso" | "cursos"
            | "enrolment" | "enrollment" | "workshop" | "course" => Some(HistoryKind::Enrolment),
            _ => None,
        };
        folded.split(' ').find_map(stands_for)
    }
}

/// How staged events find their people.
#[derive(Clone, Copy, Debug)]
pub struct People<'a> {
    /// Create whom the base doesn't know.
    pub create: bool,
    /// Header of the column with the address, to be named in a rejection.
    pub email: &'a str,
    /// Header of the column with the telephone.
    pub phone: &'a str,
    /// Header of the column with the RUT.
    pub rut: &'a str,
}

/// Decide on each staged event: fills `import_decided(row_number, verdict, reason, subject_id, same_row)`,
/// and rejects staged rows whose person can't be told.
///
/// # Errors
/// When the database fails.
pub async fn decide_history(tx: &mut Tx<'_>, people: &People<'_>) -> Result<()> {
    loop {
        look_out(tx).await?;
        match_people(tx).await?;
        if !hold(tx).await? {
            break;
        }
        run(tx, "drop table import_matches").await?;
    }
    if people.create {
        name_newcomers(tx).await?;
    }
    reject_strangers(tx, people).await?;
    run(
        tx,
        "create temp table import_decided on commit drop as
         with happened as (
            select s.row_number, m.contact_id, s.event_kind, s.event_on, s.item, s.amount, s.quantity,
                row_number() over (partition by m.contact_id, m.newcomer, s.event_kind, s.event_on, s.item, s.amount,
                    s.quantity order by s.row_number) as occurrence
            from import_staging s join import_matches m on m.row_number = s.row_number
            where s.verdict is null
         ), known as (
            select h.contact_id, h.kind, h.occurred_on, h.item, h.amount, h.quantity, count(*) as times
            from history_entries h
            join (select distinct contact_id, event_on from happened where contact_id is not null) w
                on w.contact_id = h.contact_id and w.event_on = h.occurred_on
            group by h.contact_id, h.kind, h.occurred_on, h.item, h.amount, h.quantity
         )
         select h.row_number, case when k.times >= h.occurrence then 'UNCHANGED' else 'CREATED' end as verdict,
            null::text as reason, h.contact_id as subject_id, null::int as same_row
         from happened h
         left join known k on k.contact_id = h.contact_id and k.kind = h.event_kind and k.occurred_on = h.event_on
            and k.item = h.item and k.amount = h.amount and k.quantity = h.quantity",
    )
    .await?;
    run(tx, "analyze import_decided").await?;
    Ok(())
}

/// Tell those whom the base does not know from each other: by address, else by telephone and name, since a family may
/// share a mobile. Who says less of a name than another with the same telephone is that other; where two would fit,
/// nobody can tell. A number that more than 50 names give for want of another tells nothing: then each name is somebody.
async fn name_newcomers(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_called on commit drop as
         select s.phone_ident, s.name_key, min(s.email) as email,
            count(*) over (partition by s.phone_ident) > 50 as is_crowd
         from import_staging s join import_matches m on m.row_number = s.row_number
         where s.verdict is null and s.phone_ident is not null and s.name_key <> ''
            and m.contact_id is null and not m.ambiguous
         group by s.phone_ident, s.name_key",
    )
    .await?;
    run(tx, "analyze import_called").await?;
    run(
        tx,
        "with fitting as (
            select a.phone_ident, a.name_key,
                array_agg(b.name_key order by b.email is null, length(b.name_key) desc, b.name_key) as names,
                (array_agg(b.email order by b.email is null, length(b.name_key) desc, b.name_key))[1] as email
            from import_called a
            join import_called b on b.phone_ident = a.phone_ident
                and (b.name_key = a.name_key or not a.is_crowd and names_agree(a.name_key, b.name_key))
            group by a.phone_ident, a.name_key
         ), who as (
            select phone_ident, name_key, coalesce(email, phone_ident || ' ' || names[1]) as newcomer,
                exists (select from unnest(names) other where not names_agree(other, names[1])) as is_doubtful
            from fitting
         )
         update import_matches m
         set newcomer = case when s.email is not null then s.email when not who.is_doubtful then who.newcomer end,
            ambiguous = s.email is null and who.is_doubtful
         from import_staging s
         left join who on who.phone_ident = s.phone_ident and who.name_key = s.name_key
         where s.row_number = m.row_number and m.contact_id is null and not m.ambiguous
            and s.name_key <> '' and (s.email is not null or s.phone is not null)",
    )
    .await?;
    run(tx, "drop table import_called").await?;
    Ok(())
}

/// Let nobody change those whom the file is about until it is written; gives whether somebody did.
async fn hold(tx: &mut Tx<'_>) -> Result<bool> {
    run(
        tx,
        "insert into import_whom (id)
         select distinct contact_id from import_matches m where contact_id is not null and (select writes from import_rules)
            and not exists (select from import_whom w where w.id = m.contact_id)",
    )
    .await?;
    hold_matched(tx).await
}

/// By address, then by telephone, then by the company's RUT and the name.
async fn match_people(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_matches on commit drop as
         select s.row_number, c.id as contact_id, false as ambiguous, null::text as newcomer
         from import_staging s left join contacts c on c.email = s.email
         where s.verdict is null",
    )
    .await?;
    run(tx, "analyze import_matches").await?;
    // An address that a joining left out is still of the person who stayed.
    run(
        tx,
        "update import_matches m set contact_id = found.contact_id
         from (
            select distinct on (s.row_number) s.row_number, f.contact_id
            from import_staging s join former_owners f on f.address = s.email
            where s.verdict is null order by s.row_number, f.merge_id desc
         ) found
         where found.row_number = m.row_number and m.contact_id is null",
    )
    .await?;
    // A fixed line is an office's and a mobile may be a family's: the name decides, as it does for a file of people.
    run(
        tx,
        "update import_matches m set contact_id = found.id, ambiguous = found.id is null
         from (
            select s.row_number,
                case
                    when count(*) filter (where named) = 1 then min(c.id) filter (where named)
                    when count(*) filter (where named) = 0 and count(*) = 1 then min(c.id)
                end as id
            from import_staging s
            join import_matches open on open.row_number = s.row_number and open.contact_id is null
            join contacts c on c.phone = s.phone
            cross join lateral (select s.name_key <> '' and starts_with(c.search_key, s.name_key || ' ') as named) name
            where s.verdict is null and (s.email is null or c.email is null or s.name_key = '' or named)
                and (s.name_key = '' or named or telephone_means(s.phone_ident, s.name_key, c.search_key, c.email, c.phone))
            group by s.row_number
         ) found
         where found.row_number = m.row_number",
    )
    .await?;
    run(
        tx,
        "update import_matches m set contact_id = found.id, ambiguous = found.id is null
         from (
            select s.row_number, case when count(*) = 1 then min(c.id) end as id
            from import_staging s
            join import_matches open on open.row_number = s.row_number and open.contact_id is null
            join companies k on k.rut = s.rut
            join contacts c on c.company_id = k.id and starts_with(c.search_key, s.name_key || ' ')
            where s.verdict is null and s.name_key <> '' and not open.ambiguous
            group by s.row_number
         ) found
         where found.row_number = m.row_number",
    )
    .await?;
    run(
        tx,
        "update import_matches m set contact_id = found.contact_id
         from (
            select s.row_number, min(f.contact_id) as contact_id
            from import_staging s
            join former_owners f on f.address = s.phone
            join contacts c on c.id = f.contact_id
            where s.verdict is null and s.email is null
                and telephone_means(s.phone_ident, s.name_key, c.search_key, c.email, c.phone)
            group by s.row_number having count(distinct f.contact_id) = 1
         ) found
         where found.row_number = m.row_number and m.contact_id is null and not m.ambiguous",
    )
    .await?;
    // A telephone that the file itself gives to somebody known.
    run(
        tx,
        "update import_matches m set contact_id = known.contact_id, ambiguous = false
         from import_staging s
         join (
            select s.phone_ident, min(m.contact_id) as contact_id
            from import_staging s join import_matches m on m.row_number = s.row_number
            where m.contact_id is not null and s.phone_ident is not null
            group by s.phone_ident having count(distinct m.contact_id) = 1
         ) known on known.phone_ident = s.phone_ident
         join contacts c on c.id = known.contact_id
         where s.row_number = m.row_number and m.contact_id is null and s.email is null
            and (strpos(s.phone_ident, '|') > 0 or names_agree(s.name_key, name_in_key(c.search_key, c.email, c.phone)))",
    )
    .await?;
    Ok(())
}

async fn reject_strangers(tx: &mut Tx<'_>, people: &People<'_>) -> Result<()> {
    sqlx::query(
        "update import_staging s set verdict = 'REJECTED',
            column_name = case when s.email is not null then $2 when s.phone is not null then $3 else $4 end,
            value = coalesce(s.email, s.phone, s.rut),
            reason = case
                when m.ambiguous
                    then 'Más de una persona tiene ese teléfono, o ese RUT y nombre: agrega su correo para saber de quién es'
                when not $1
                    then 'No está entre tus contactos: impórtalo primero, o elige crear a las personas que falten'
                when s.name_key = '' then 'No está entre tus contactos, y falta su nombre para crearlo'
                else 'No está entre tus contactos, y falta un correo o un teléfono para crearlo'
            end
         from import_matches m
         where m.row_number = s.row_number and m.contact_id is null and m.newcomer is null",
    )
    .persistent(false)
    .bind(people.create)
    .bind(people.email)
    .bind(people.phone)
    .bind(people.rut)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How many people the staged events bring.
///
/// # Errors
/// When the database fails.
pub async fn newcomers(tx: &mut Tx<'_>) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(distinct newcomer) from import_matches")
        .persistent(false)
        .fetch_one(&mut **tx)
        .await?)
}

/// Write what `decide_history` decided, people first. Gives the number of people created.
///
/// # Errors
/// When the database fails, or somebody took an address meanwhile.
pub async fn write_history(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    basis: &Basis<'_>,
) -> Result<u64> {
    let created = create_people(tx, now, import, basis).await?;
    sqlx::query(
        "insert into history_entries (contact_id, kind, occurred_on, item, amount, quantity, import_id, created_at)
         select m.contact_id, s.event_kind, s.event_on, s.item, s.amount, s.quantity, $1, $2
         from import_staging s
         join import_decided d on d.row_number = s.row_number and d.verdict = 'CREATED'
         join import_matches m on m.row_number = s.row_number
         order by m.contact_id, s.event_on, s.row_number",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    run(
        tx,
        "update import_decided d set subject_id = m.contact_id
         from import_matches m where m.row_number = d.row_number and m.newcomer is not null",
    )
    .await?;
    let whose: Vec<i64> = sqlx::query_scalar(
        "select distinct subject_id from import_decided where verdict = 'CREATED' order by subject_id",
    )
    .persistent(false)
    .fetch_all(&mut **tx)
    .await?;
    metrics::recount(tx, now, &whose).await?;
    Ok(created)
}

async fn create_people(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    basis: &Basis<'_>,
) -> Result<u64> {
    let created = run(
        tx,
        "create temp table import_newcomers on commit drop as
         select newcomer, first, nextval((select pg_get_serial_sequence('contacts', 'id')::regclass)) as id
         from (select m.newcomer, coalesce(min(m.row_number) filter (where s.email is not null), min(m.row_number)) as first
               from import_matches m join import_staging s on s.row_number = m.row_number
               where m.newcomer is not null group by m.newcomer order by first) people",
    )
    .await?;
    if created == 0 {
        return Ok(0);
    }
    sqlx::query(
        "with created as (
            insert into contacts (id, first_name, last_name, email, phone, source, email_basis, search_key, import_id,
                created_at, updated_at)
            overriding system value
            select n.id, coalesce(s.first_name, ''), coalesce(s.last_name, ''), s.email, s.phone, 'IMPORT',
                case when $5::text is not null and s.email is not null and x.destination is null
                    and not exists (select from suppressions h where h.communication_type = 'EMAIL' and h.destination is null
                        and h.lifted_at is null
                        and h.address_hash = suppression_hash((select key from suppression_key), s.email)) then $5 end, s.search_key, $1, $2, $2
            from import_newcomers n
            join import_staging s on s.row_number = n.first
            left join (select distinct destination from suppressions
                where communication_type = 'EMAIL' and lifted_at is null) x on x.destination = s.email
            order by n.id
            returning id, email_basis
         )
         insert into consent_events (contact_id, communication_type, basis, source, obtained_on, import_id, at)
         select id, 'EMAIL', email_basis, $3, $4, $1, $2 from created where email_basis is not null",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .bind(basis.source)
    .bind(basis.obtained_on)
    .bind(basis.by_email())
    .execute(&mut **tx)
    .await?;
    grants::find_newcomers(tx).await?;
    grants::write(tx, now, import, now, basis).await?;
    search_index::put_aside(tx, import).await?;
    run(
        tx,
        "update import_matches m set contact_id = n.id from import_newcomers n where n.newcomer = m.newcomer",
    )
    .await?;
    Ok(created)
}

#[cfg(test)]
mod tests {
    use super::HistoryKind;

    #[test]
    fn words_of_real_files_are_understood() {
        for (text, expected) in [
            ("VENTA", Some(HistoryKind::Purchase)),
            ("Compra web", Some(HistoryKind::Purchase)),
            ("Atención", Some(HistoryKind::Visit)),
            ("Taller de cerámica", Some(HistoryKind::Enrolment)),
            ("Inscripción", Some(HistoryKind::Enrolment)),
            ("PURCHASE", Some(HistoryKind::Purchase)),
            ("otra cosa", None),
        ] {
            assert_eq!(HistoryKind::from_words(text), expected, "{text}");
        }
    }
}
