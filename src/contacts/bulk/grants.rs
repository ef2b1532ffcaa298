//! The basis that an import states for text messages and WhatsApp: who of its people gets it there. By email it is
//! decided with what the file adds to them; here it hangs on the telephone.

use super::{Basis, run};
use crate::{db::Tx, error::Result, ids::ImportId};
use chrono::{DateTime, Utc};

/// Of the people whom the base knows: fills `import_grants(contact_id, communication_type, row_number)`.
pub(super) async fn find(tx: &mut Tx<'_>) -> Result<()> {
    prepare(tx).await?;
    run(
        tx,
        "insert into import_grants
         select c.id, told.code, m.row_number
         from import_rules r
         cross join unnest(r.phone_channels) told (code)
         cross join import_matches m
         join import_staging s on s.row_number = m.row_number and s.accepts
         join contacts c on c.id = m.contact_id
         where not r.skip and not m.refused and m.duplicate_of is null and told.code = any (r.answered)
            and coalesce(c.phone, s.phone) is not null
            -- A yes given for another telephone of theirs is none for this one.
            and (s.phone is null or c.phone is null or s.phone = c.phone)
            and case told.code when 'SMS' then c.sms_basis else c.whatsapp_basis end is null
            and may_get_basis(c.id, told.code, coalesce(c.phone, s.phone))",
    )
    .await?;
    Ok(())
}

/// Of the people whom a file of contacts creates.
pub(super) async fn find_created(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "insert into import_grants
         select made.id, told.code, made.row_number
         from import_rules r
         cross join unnest(r.phone_channels) told (code)
         cross join import_made made
         join import_staging s on s.row_number = made.row_number and s.accepts and s.phone is not null
         join import_matches m on m.row_number = made.row_number and not m.refused
         where told.code = any (r.answered) and may_get_basis(made.id, told.code, s.phone)",
    )
    .await?;
    Ok(())
}

/// Of the people whom a file of history creates.
pub(super) async fn find_newcomers(tx: &mut Tx<'_>) -> Result<()> {
    prepare(tx).await?;
    run(
        tx,
        "insert into import_grants
         select n.id, told.code, n.first
         from import_rules r
         cross join unnest(r.phone_channels) told (code)
         cross join import_newcomers n
         join import_staging s on s.row_number = n.first and s.phone is not null
         where may_get_basis(n.id, told.code, s.phone)",
    )
    .await?;
    Ok(())
}

/// Of `people`, whom a written import brought.
pub(super) async fn find_among(tx: &mut Tx<'_>, people: &[i64]) -> Result<()> {
    sqlx::query(
        "insert into import_grants
         select c.id, told.code, null
         from import_rules r
         cross join unnest(r.phone_channels) told (code)
         cross join contacts c
         where c.id = any ($1) and c.merged_into is null and c.phone is not null
            and case told.code when 'SMS' then c.sms_basis else c.whatsapp_basis end is null
            and may_get_basis(c.id, told.code, c.phone)
            and not exists (select from former_owners f where f.contact_id = c.id and strpos(f.address, '@') = 0)",
    )
    .persistent(false)
    .bind(people)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Write what was found, with `import` as its proof. Whom nobody changed after `applied_at` is changed then.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: ImportId,
    applied_at: DateTime<Utc>,
    basis: &Basis<'_>,
) -> Result<()> {
    sqlx::query(
        "update contacts c set sms_basis = case when g.by_sms then $3 else c.sms_basis end,
            whatsapp_basis = case when g.by_whatsapp then $3 else c.whatsapp_basis end,
            updated_at = case when c.updated_at <= $2 then $2 else $1 end
         from (select contact_id, bool_or(communication_type = 'SMS') as by_sms,
                bool_or(communication_type = 'WHATSAPP') as by_whatsapp
            from import_grants group by contact_id) g
         where c.id = g.contact_id",
    )
    .persistent(false)
    .bind(now)
    .bind(applied_at)
    .bind(basis.basis)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "insert into consent_events (contact_id, communication_type, basis, source, obtained_on, import_id, at)
         select contact_id, communication_type, $5, $3, $4, $1, $2 from import_grants order by contact_id",
    )
    .persistent(false)
    .bind(import.0)
    .bind(now)
    .bind(basis.source)
    .bind(basis.obtained_on)
    .bind(basis.basis)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn prepare(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "create temp table import_grants (contact_id bigint not null, communication_type text not null, row_number int)
         on commit drop",
    )
    .await?;
    Ok(())
}
