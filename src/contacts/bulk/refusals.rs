//! A no in a file counts, whatever becomes of its row: kept as it is, repeated or
//! rejected. It is found apart from what the file adds, and written after it.

use super::{Basis, run};
use crate::{db::Tx, error::Result, ids::ImportId};
use chrono::{DateTime, Utc};

/// Find every no: fills `import_noes` with the rows that say it and `import_refused` with
/// the people whom the base knows, and marks the matches of the others.
pub(super) async fn find(tx: &mut Tx<'_>) -> Result<()> {
    let noes = run(
        tx,
        "create temp table import_noes on commit drop as
         select row_number, email, phone, phone_ident, name_key from import_staging
         where accepts is false and (email is not null or phone is not null)",
    )
    .await?;
    // By telephone it is whoever has it and may be called so.
    run(
        tx,
        "create temp table import_refused on commit drop as
         select c.id as contact_id from import_noes n join contacts c on c.email = n.email
         union
         select c.id from import_noes n join contacts c on c.phone = n.phone
            and telephone_means(n.phone_ident, n.name_key, c.search_key, c.email, c.phone)
         where n.email is null
         union
         select f.contact_id from import_noes n join former_owners f on f.address = coalesce(n.email, n.phone)
         join contacts c on c.id = f.contact_id
         where case when n.email is not null then not exists (select from contacts x where x.email = n.email)
            else telephone_means(n.phone_ident, n.name_key, c.search_key, c.email, c.phone) end
         union
         select m.contact_id from import_noes n join import_matches m on m.row_number = n.row_number
         where m.contact_id is not null",
    )
    .await?;
    if noes == 0 {
        return Ok(());
    }
    run(tx, "analyze import_noes (email, phone_ident)").await?;
    run(
        tx,
        "update import_matches m set refused = true
         from import_staging s
         where s.row_number = m.row_number and not m.refused and (
            s.email in (select email from import_noes)
            or s.row_number in (
                select o.row_number from import_staging o join import_noes n on n.phone_ident = o.phone_ident
                where n.email is null and names_agree(n.name_key, o.name_key))
            or m.contact_id in (select contact_id from import_refused))",
    )
    .await?;
    Ok(())
}

/// Of those who refuse, who has not said it before on a channel that the file's answers are about: fills
/// `import_refusals`.
pub(super) async fn compare(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_refusals on commit drop as
         select c.id as contact_id, told.code as communication_type
         from import_rules r
         cross join unnest(r.answered) told (code)
         cross join import_refused refused
         join contacts c on c.id = refused.contact_id
         where case told.code when 'EMAIL' then c.email_basis when 'SMS' then c.sms_basis else c.whatsapp_basis end is not null
            or coalesce((
                select e.basis <> 'WITHDRAWN' from consent_events e
                where e.contact_id = c.id and e.communication_type = told.code order by e.id desc limit 1), true)",
    )
    .await?;
    Ok(())
}

/// Write the refusals down: of people known before, and of new ones.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    basis: &Basis<'_>,
) -> Result<()> {
    sqlx::query(
        "update contacts c set email_basis = case when r.by_email then null else c.email_basis end,
            sms_basis = case when r.by_sms then null else c.sms_basis end,
            whatsapp_basis = case when r.by_whatsapp then null else c.whatsapp_basis end, updated_at = $1
         from (select contact_id, bool_or(communication_type = 'EMAIL') as by_email,
                bool_or(communication_type = 'SMS') as by_sms, bool_or(communication_type = 'WHATSAPP') as by_whatsapp
            from import_refusals group by contact_id) r
         where c.id = r.contact_id",
    )
    .persistent(false)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "insert into consent_events (contact_id, communication_type, basis, source, import_id, at)
         select contact_id, communication_type, 'WITHDRAWN', $3, $1, $2 from import_refusals
         union all
         select made.id, told.code, 'WITHDRAWN', $3, $1, $2
         from import_rules r
         cross join unnest(r.answered) told (code)
         cross join import_made made
         join import_matches m on m.row_number = made.row_number and m.refused
         order by 1",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .bind(basis.file)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
