//! Whose a telephone is, in the file and in the base. A mobile may be a family's, and a fixed line is an office's: the
//! name decides. Whose name is plainly another's is another person, and where several would fit the row stays out.

use super::run;
use crate::{db::Tx, error::Result};

/// Of those who hold the staged row's telephone: the one whom it means, how many its name would fit, and one of them all.
/// The name itself goes before one that says more or less; on a fixed line it has to begin with it.
macro_rules! holders {
    ($rest:literal) => {
        concat!(
            "select s.row_number, count(*) filter (where name.agrees) as agreeing, min(c.id) as holder,
                case
                    when count(*) filter (where name.same) = 1 then min(c.id) filter (where name.same)
                    when count(*) filter (where name.same) = 0 and count(*) filter (where name.agrees) = 1
                        then min(c.id) filter (where name.agrees)
                end as id
             from import_staging s
             join import_matches open on open.row_number = s.row_number and open.duplicate_of is null
                and open.doubt is null and open.contact_id is null
             join contacts c on c.phone = s.phone
             cross join lateral (
                select s.name_key <> '' and name_in_key(c.search_key, c.email, c.phone) = s.name_key as same,
                telephone_means(s.phone_ident, s.name_key, c.search_key, c.email, c.phone) as agrees) name
             where s.verdict is null ",
            $rest,
            " group by s.row_number"
        )
    };
}

/// Rows without an address that share a mobile with others of the file: who says less of a name than exactly one other
/// is that other. Who is of the very same name is found before.
pub(super) async fn match_in_file(tx: &mut Tx<'_>) -> Result<()> {
    let sharing = run(
        tx,
        "create temp table import_sharing on commit drop as
         select s.row_number, s.phone, s.name_key, s.email is null as bare
         from import_staging s join import_matches m on m.row_number = s.row_number and m.duplicate_of is null
         where s.phone like '+569%' and s.phone in (
            select phone from import_staging where verdict is null and phone like '+569%'
                and exists (select from import_staging where verdict is null and email is null)
            group by phone having count(*) > 1 and bool_or(email is null))",
    )
    .await?;
    if sharing > 0 {
        run(tx, "analyze import_sharing").await?;
        // A number that stands in every row for want of another is nobody's, and comparing all with all takes hours.
        run(
            tx,
            "update import_matches m set doubt = 'Más de 50 personas del archivo tienen ese teléfono: agrega su correo'
             from import_sharing s
             join (select phone from import_sharing where bare group by phone having count(*) > 50) crowd
                on crowd.phone = s.phone
             where s.bare and s.row_number = m.row_number",
        )
        .await?;
        run(
            tx,
            "delete from import_sharing s using import_matches m where m.row_number = s.row_number and m.doubt is not null",
        )
        .await?;
        run(
            tx,
            "with fits as (
                select less.row_number, more.row_number as other
                from import_sharing less
                join import_sharing more on more.phone = less.phone and more.row_number <> less.row_number
                where less.bare and names_agree(less.name_key, more.name_key)
                    and (not more.bare
                        or (length(less.name_key), more.row_number) < (length(more.name_key), less.row_number))
             ), found as (
                select row_number, min(other) as first, count(*) as fitting from fits
                where other not in (select row_number from fits) group by row_number
             )
             update import_matches m set duplicate_of = case when found.fitting = 1 then found.first end,
                doubt = case when found.fitting > 1
                    then 'Más de una persona del archivo tiene ese teléfono: agrega su correo o su nombre completo' end
             from found where found.row_number = m.row_number",
        )
        .await?;
        run(
            tx,
            "update import_matches m set shares_row = found.other
             from (
                select mine.row_number, min(others.row_number) as other
                from import_sharing mine
                join import_sharing others on others.phone = mine.phone and others.row_number <> mine.row_number
                join import_matches o on o.row_number = others.row_number and o.duplicate_of is null and o.doubt is null
                where mine.bare group by mine.row_number
             ) found
             where found.row_number = m.row_number and m.duplicate_of is null and m.doubt is null",
        )
        .await?;
    }
    run(tx, "drop table import_sharing").await?;
    Ok(())
}

/// Who of the base each open row is by its telephone.
pub(super) async fn match_in_base(tx: &mut Tx<'_>) -> Result<()> {
    let without_email = run(
        tx,
        concat!(
            "update import_matches m set contact_id = found.id,
                doubt = case when found.id is null and found.agreeing > 0 then
                    'Más de una persona de tu base tiene ese teléfono: agrega su correo o su nombre completo' end,
                shares = case when found.agreeing = 0 then found.holder end
             from (",
            holders!("and s.email is null"),
            ") found where found.row_number = m.row_number"
        ),
    )
    .await?;
    let by_former_phone = run(
        tx,
        "update import_matches m set contact_id = found.contact_id, former = true, shares = null
         from (
            select distinct on (s.row_number) s.row_number, f.contact_id
            from import_staging s
            join former_owners f on f.address = s.phone
            join contacts c on c.id = f.contact_id
            where s.verdict is null and s.email is null
                and telephone_means(s.phone_ident, s.name_key, c.search_key, c.email, c.phone)
            order by s.row_number, f.merge_id desc
         ) found
         where found.row_number = m.row_number and m.contact_id is null and m.duplicate_of is null and m.doubt is null",
    )
    .await?;
    // Somebody known by telephone alone whose address the file brings. Where several would fit, the address is somebody new's.
    let with_email = run(
        tx,
        concat!(
            "update import_matches m set contact_id = found.id, shares = case when found.id is null then found.holder end
             from (",
            holders!("and s.email is not null and c.email is null"),
            ") found where found.row_number = m.row_number"
        ),
    )
    .await?;
    if without_email + by_former_phone + with_email > 0 {
        // One person, one row, the one with an address. Of two addresses for one known telephone the second is somebody
        // new, and so is who is called otherwise than the first.
        run(
            tx,
            "update import_matches m
             set duplicate_of = case when f.agrees then f.first end, contact_id = case when f.agrees then m.contact_id end,
                shares = case when not f.agrees and f.email is null then m.contact_id end
             from (
                select s.row_number, s.email, f.contact_id, f.first,
                    s.email is null and names_agree(s.name_key, coalesce(s1.name_key, '')) as agrees
                from (
                    select m2.contact_id,
                        (array_agg(m2.row_number order by (s2.email is null), not m2.former, m2.row_number))[1] as first
                    from import_matches m2 join import_staging s2 on s2.row_number = m2.row_number
                    where m2.contact_id is not null and m2.duplicate_of is null
                    group by m2.contact_id having count(*) > 1
                ) f
                join import_staging s1 on s1.row_number = f.first
                join import_matches other on other.contact_id = f.contact_id and other.row_number <> f.first
                    and other.duplicate_of is null
                join import_staging s on s.row_number = other.row_number
             ) f
             where f.row_number = m.row_number",
        )
        .await?;
    }
    Ok(())
}

/// Keep out the rows of which nobody can tell whose they are, and those that repeat them.
pub(super) async fn reject_doubtful(tx: &mut Tx<'_>, phone_header: &str) -> Result<()> {
    run(
        tx,
        "update import_matches m set doubt = first.doubt
         from import_matches first where first.row_number = m.duplicate_of and first.doubt is not null",
    )
    .await?;
    sqlx::query(
        "update import_staging s set verdict = 'REJECTED', column_name = $1, value = s.phone, reason = m.doubt
         from import_matches m where m.row_number = s.row_number and m.doubt is not null",
    )
    .persistent(false)
    .bind(phone_header)
    .execute(&mut **tx)
    .await?;
    run(tx, "delete from import_matches where doubt is not null").await?;
    Ok(())
}

/// Say of each new person whose telephone is another's too. What stands between «» does not part what is counted together.
pub(super) async fn note(tx: &mut Tx<'_>) -> Result<()> {
    run(
        tx,
        "insert into import_notes (row_number, note, unsubscribed)
         select m.row_number, 'Comparte el teléfono con '
            || coalesce('«' || translate(coalesce(nullif(trim(c.first_name || ' ' || c.last_name), ''), c.email), '«»', '')
                || '»', 'la fila «' || m.shares_row || '»', 'otro contacto')
            || ': se agrega como otra persona', false
         from import_matches m left join contacts c on c.id = m.shares
         where m.contact_id is null and m.duplicate_of is null and (m.shares is not null or m.shares_row is not null)",
    )
    .await?;
    Ok(())
}
