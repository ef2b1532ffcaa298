//! Lists: what is put on them, and campaigns to them and to segments.

use super::{keep, person, spenders};
use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    support::{TestApp, monday_noon},
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    bulk_actions::run,
    campaigns::{
        audience::{self, Question, Rule},
        campaign,
        edit::Edit,
        progress,
    },
    channels::Channel,
    db::keyset::{Edge, Place},
    error::Error,
    ids::ListId,
    messaging::kinds::{BlockReason, MessageType},
    segments::{list, list_bulk, list_externals},
};
use sqlx::PgPool;

async fn new_list(db: &PgPool, name: &str) -> ListId {
    let mut tx = db.begin().await.unwrap();
    let id = list::create(&mut tx, monday_noon(), &Actor::CommandLine, name, "").await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_pasted_becomes_contacts_and_bare_addresses_once(db: PgPool) {
    let ana = person(&db, "Ana", 0, 0).await;
    sqlx::query("update contacts set phone = '+56987654321' where id = $1")
        .bind(ana.0)
        .execute(&db)
        .await
        .unwrap();
    let id = new_list(&db, "Feria").await;
    let paste = async |text: &str| {
        let mut tx = db.begin().await.unwrap();
        let added = list::add_pasted(&mut tx, monday_noon(), &Actor::CommandLine, id, text).await?;
        tx.commit().await.unwrap();
        Ok::<_, Error>(added)
    };
    let added =
        paste("ANA@x.example\n9 8765 4321\notro@x.example; +56 9 1234 5678\nnada aquí").await.unwrap();
    assert_eq!((added.contacts, added.externals, added.already), (1, 2, 1), "her phone is hers too");
    let unread: Vec<_> = added.unread.iter().map(|it| (it.line, it.text.as_str())).collect();
    assert_eq!(unread, [(4, "nada aquí")]);
    let again = paste("otro@x.example, ana@x.example").await.unwrap();
    assert_eq!((again.contacts, again.externals, again.already), (0, 0, 2));
    assert!(matches!(paste("nada").await.unwrap_err(), Error::Invalid(_)));

    let mut connection = db.acquire().await.unwrap();
    let first = list::page(&mut connection, id, Place::First, 2).await.unwrap();
    assert_eq!((first.rows.len(), first.has_next, first.has_previous), (2, true, false));
    let edge = first.rows[1].id;
    let second = list::page(&mut connection, id, Place::After(Edge::row(edge)), 2).await.unwrap();
    assert_eq!((second.rows.len(), second.has_next), (1, false));
    let back = list::page(&mut connection, id, Place::Before(Edge::row(second.rows[0].id)), 2).await.unwrap();
    assert_eq!(
        back.rows.iter().map(|it| it.id).collect::<Vec<_>>(),
        first.rows.iter().map(|it| it.id).collect::<Vec<_>>()
    );
    assert_eq!(list::get(&db, id).await.unwrap().members, 3);

    // Who was joined into another stays on the list as that one.
    let luis = person(&db, "Luis", 0, 0).await;
    sqlx::query("update contacts set merged_into = $1, email = null, phone = null where id = $2")
        .bind(luis.0)
        .bind(ana.0)
        .execute(&db)
        .await
        .unwrap();
    let page = list::page(&mut connection, id, Place::First, 10).await.unwrap();
    let contacts: Vec<_> = page.rows.iter().filter_map(|it| it.contact_id).collect();
    assert_eq!((contacts, list::get(&db, id).await.unwrap().members), (vec![luis], 3));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_is_fixed_on_a_list_as_it_stands_and_that_is_taken_back(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = person(&db, "Ana", 1, 60_000).await;
    person(&db, "Luis", 1, 10).await;
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let id = new_list(&db, "Gastan").await;
    let asked = app.post(&format!("/segments/{segment}/list"), &[("list_id", &id.to_string())]).await;
    while run::run_once(&db, app.now()).await.unwrap() {}
    sqlx::query("update contact_metrics set spent = 0").execute(&db).await.unwrap();
    let mut connection = db.acquire().await.unwrap();
    let page = list::page(&mut connection, id, Place::First, 10).await.unwrap();
    assert_eq!(page.rows.iter().map(|it| it.contact_id).collect::<Vec<_>>(), [Some(ana)]);
    app.post(&format!("{}/undo", asked.location()), &[]).await;
    while run::run_once(&db, app.now()).await.unwrap() {}
    assert_eq!(list::get(&db, id).await.unwrap().members, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_removed_list_takes_nobody(db: PgPool) {
    let id = new_list(&db, "Feria").await;
    let mut tx = db.begin().await.unwrap();
    let actor = Actor::CommandLine;
    list::delete(&mut tx, monday_noon(), &actor, id).await.unwrap();
    let refused = list::add_pasted(&mut tx, monday_noon(), &actor, id, "ana@x.example").await;
    assert!(matches!(refused, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_campaign_to_a_segment_reaches_private_people_and_the_gate_agrees(db: PgPool) {
    let app = app(db.clone());
    people(&app, "sur", 2).await;
    let ana = person(&db, "Ana", 1, 60_000).await;
    let luis = person(&db, "Luis", 1, 60_000).await;
    let eva = person(&db, "Eva", 1, 60_000).await;
    person(&db, "Poco", 1, 10).await;
    sqlx::query("update contacts set email_basis = null where id = $1")
        .bind(luis.0)
        .execute(&db)
        .await
        .unwrap();
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let listed = new_list(&db, "Invitados").await;
    let mut tx = db.begin().await.unwrap();
    list_bulk::attach(&mut tx, app.now(), &Actor::CommandLine, listed, &[ana.0, luis.0]).await.unwrap();
    tx.commit().await.unwrap();

    let mut connection = db.acquire().await.unwrap();
    let both = Rule { segment_ids: vec![segment.0], list_ids: vec![listed.0], ..Rule::default() };
    let of_segment = Rule { segment_ids: vec![segment.0], ..Rule::default() };
    let found = audience::page(&mut connection, app.now(), &of_segment, 0, 10).await.unwrap();
    assert_eq!(found, [ana, luis, eva], "private people too, in the order of their ids");
    assert_eq!(audience::page(&mut connection, app.now(), &of_segment, ana.0, 1).await.unwrap(), [luis]);
    assert_eq!(audience::page(&mut connection, app.now(), &both, 0, 10).await.unwrap(), [ana, luis]);

    let id = seeded(&app).await;
    let mut edit = Edit::of(&get(&app, id).await);
    edit.audience = of_segment.clone();
    edit.source.subject = "Hola".to_owned();
    edit.source.body = "Para {{ company }}".to_owned();
    let mut tx = db.begin().await.unwrap();
    campaign::update(&mut tx, app.now(), &Actor::CommandLine, &app.state.config, id, &edit).await.unwrap();
    tx.commit().await.unwrap();
    execute(&app, "update contacts set company_id = (select id from companies where name = 'sur') where first_name = 'Ana'").await;
    let question = Question {
        rule: &of_segment,
        channel: Channel::Email,
        message_type: MessageType::Promocional,
        required: &["company"],
        otherwise: &[],
        now: app.now(),
    };
    let foretold = audience::preview(&mut connection, question).await.unwrap();
    assert_eq!((foretold.total, foretold.reachable), (3, 1));
    assert_eq!(foretold.left_out.get(&BlockReason::NoConsent), Some(&1));
    assert_eq!(foretold.left_out.get(&BlockReason::MissingVariable), Some(&1), "Eva works nowhere");
    let launched = start(&app, id).await.unwrap();
    assert_eq!(launched.enqueued.queued, foretold.reachable);
    assert_eq!(launched.enqueued.blocked, foretold.left_out);
    assert_eq!(progress::of(&db, id).await.unwrap().total(), 3);

    let mut tx = db.begin().await.unwrap();
    let refused = llovizna::segments::segment::delete(&mut tx, app.now(), &Actor::CommandLine, segment).await;
    assert!(refused.is_err(), "a campaign that runs asks for it");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_list_that_is_asked_for_is_not_removed(db: PgPool) {
    use llovizna::segments::{
        field::{Field, Op},
        rule::{Condition, Group, Join},
    };
    let id = new_list(&db, "Invitados").await;
    let condition = Condition::with(Field::List, Op::Is, &[&id.to_string()]);
    let nested = Group { join: Join::All, items: vec![Group::any([condition]).into()] };
    let segment = keep(&db, "Los de la lista", &nested).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let refused = list::delete(&mut tx, monday_noon(), &Actor::CommandLine, id).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(it) if it.contains("«Los de la lista»")));
    llovizna::segments::segment::delete(&mut tx, monday_noon(), &Actor::CommandLine, segment).await.unwrap();
    list::delete(&mut tx, monday_noon(), &Actor::CommandLine, id).await.unwrap();
    list::restore(&mut tx, monday_noon(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!list::get(&db, id).await.unwrap().is_deleted);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn addresses_of_nobody_are_made_contacts_who_agreed_to_nothing(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = new_list(&db, "Feria").await;
    let path = format!("/lists/{id}");
    let pasted = [("addresses", "eva@x.example\nluz@x.example\n+56 9 1234 5678")];
    let admin = app.admin().await;
    admin.post(&format!("{path}/members"), &pasted).await;
    let page = admin.get(&path).await;
    assert!(page.text().contains("3 direcciones no son de ningún contacto"), "{}", page.text());
    assert!(page.text().contains("no reciben promociones hasta que registres su consentimiento"));
    let reader = app.as_role(llovizna::access::Role::ReadOnly).await;
    assert_eq!(reader.post(&format!("{path}/contacts"), &[]).await.status, axum::http::StatusCode::FORBIDDEN);

    assert_eq!(admin.post(&format!("{path}/contacts"), &[]).await.location(), path);
    let page = admin.get(&path).await.text();
    assert!(page.contains("Creamos 2 contactos, sin consentimiento"), "{page}");
    assert!(page.contains("1 dirección no es de ningún contacto"), "{page}");
    let made: Vec<(String, Option<String>)> =
        sqlx::query_as("select email, email_basis from contacts order by email")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(made, [("eva@x.example".to_owned(), None), ("luz@x.example".to_owned(), None)]);
    let told: Vec<String> = sqlx::query_scalar(
        "select after ->> 'email' from audit_events e join contacts c on c.id = e.subject_id
         where action = 'contact.create' and staff_user_id is not null order by 1",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(told, ["eva@x.example", "luz@x.example"]);

    // A telephone alone tells nobody apart.
    let member: i64 = sqlx::query_scalar("select id from list_members where phone is not null")
        .fetch_one(&db)
        .await
        .unwrap();
    let make = format!("{path}/members/{member}/contact");
    let refused = app.post(&make, &[("name", " ")]).await;
    assert_eq!(refused.status, axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.post(&make, &[("name", "Ana Muñoz")]).await.location(), path);
    let bare: i64 = sqlx::query_scalar("select count(*) from list_members where contact_id is null")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!((bare, list::get(&db, id).await.unwrap().members), (0, 3));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_on_a_list_is_whoever_comes_to_bear_it(db: PgPool) {
    let id = new_list(&db, "Feria").await;
    let mut tx = db.begin().await.unwrap();
    let text = "ana@x.example, 9 8765 4321, luis@x.example";
    list::add_pasted(&mut tx, monday_noon(), &Actor::CommandLine, id, text).await.unwrap();
    tx.commit().await.unwrap();
    let on_it = async || {
        sqlx::query_as::<_, (Option<i64>, Option<String>)>(
            "select contact_id, coalesce(email, phone) from list_members order by contact_id, 2",
        )
        .fetch_all(&db)
        .await
        .unwrap()
    };
    let ana = person(&db, "Ana", 0, 0).await;
    let others = [(None, Some("+56987654321".to_owned())), (None, Some("luis@x.example".to_owned()))];
    assert_eq!(on_it().await, [&[(Some(ana.0), None)][..], &others].concat());
    // Another address of somebody on the list is no other place.
    sqlx::query("update contacts set phone = '+56987654321'").execute(&db).await.unwrap();
    assert_eq!(on_it().await, [(Some(ana.0), None), others[1].clone()]);
    // Whoever brought them takes them back, and leaves the address where it was.
    sqlx::query("delete from contacts").execute(&db).await.unwrap();
    let left = [(None, Some("ana@x.example".to_owned())), others[1].clone()];
    assert_eq!(on_it().await, left);
    // Two with one telephone: it is nobody's.
    let mut tx = db.begin().await.unwrap();
    list::add_pasted(&mut tx, monday_noon(), &Actor::CommandLine, id, "65 222 3344").await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query(
        "insert into contacts (first_name, phone, search_key, created_at, updated_at)
         select n, '+56652223344', n, '2026-01-01', '2026-01-01' from unnest('{Eva,Luz}'::text[]) n",
    )
    .execute(&db)
    .await
    .unwrap();
    assert_eq!(on_it().await.len(), 3);
    assert!(on_it().await.iter().all(|it| it.0.is_none()));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_telephone_of_several_people_adds_nobody_until_one_is_chosen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (eva, luz) = (person(&db, "Eva", 0, 0).await, person(&db, "Luz", 0, 0).await);
    sqlx::query("update contacts set phone = '+56652223344'").execute(&db).await.unwrap();
    let id = new_list(&db, "Feria").await;
    let pasted = [("addresses", "65 222 3344\notra@x.example")];
    let asked = app.post(&format!("/lists/{id}/members"), &pasted).await;
    assert_eq!(asked.status, axum::http::StatusCode::OK);
    let text = asked.text();
    assert!(
        text.contains("Un teléfono es de varias personas") && text.contains("Eva") && text.contains("Luz"),
        "{text}"
    );
    assert!(text.contains("Agregamos 0 contactos y 1 dirección suelta."), "{text}");
    assert!(asked.body.contains(&format!("name=\"contact_id\" value=\"{eva}\"")));
    assert_eq!(list::get(&db, id).await.unwrap().members, 1);
    app.post(&format!("/lists/{id}/members/chosen"), &[("contact_id", &luz.to_string())]).await;
    let on_it: Vec<i64> =
        sqlx::query_scalar("select contact_id from list_members where contact_id is not null")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(on_it, [luz.0]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_of_two_joinings_is_of_who_stayed_last(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = new_list(&db, "Feria").await;
    app.post(&format!("/lists/{id}/members"), &[("addresses", "vieja@x.example")]).await;
    let mut stayed = Vec::new();
    for (kept, gone) in [("Eva", "Eva Soto"), ("Luz", "Luz Soto"), ("Ana", "Ana Soto")] {
        let (kept, gone) = (person(&db, kept, 0, 0).await, person(&db, gone, 0, 0).await);
        sqlx::query(
            "with joined as (
                 insert into contact_merges (kept_id, gone_id, before_kept, before_gone, after_kept, moved, merged_at)
                 values ($1, $2, '{}', '{}', '{}', '{}', '2026-01-01') returning id
             )
             insert into former_addresses (address, merge_id, contact_id) select 'vieja@x.example', id, $1 from joined",
        )
        .bind(kept.0)
        .bind(gone.0)
        .execute(&db)
        .await
        .unwrap();
        stayed.push(kept);
    }
    app.post(&format!("/lists/{id}/contacts"), &[]).await;
    let on_it: Vec<Option<i64>> =
        sqlx::query_scalar("select contact_id from list_members").fetch_all(&db).await.unwrap();
    assert_eq!(on_it, [Some(stayed[2].0)]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_not_understood_comes_back_with_its_reason(db: PgPool) {
    let app = TestApp::new(db.clone());
    person(&db, "Ana", 0, 0).await;
    let id = new_list(&db, "Feria").await;
    let path = format!("/lists/{id}/members");
    let text = "Ana <ana@x.example>\nMaría José <maria@x.example>\nluis@x\n9 8765 432\nnada aquí\n\
                eva@x.example luz@x.example, otro@\n\"Soto, Iris\" <iris@x.example>; 12.531.909-2";
    let asked = app.post(&path, &[("addresses", text)]).await;
    assert_eq!(asked.status, axum::http::StatusCode::OK);
    let told = asked.text();
    for words in [
        "Agregamos 1 contacto y 4 direcciones sueltas.",
        "Línea 3, «luis@x»: el dominio está incompleto",
        "Línea 4, «9 8765 432»: le falta un dígito",
        "Línea 5, «nada aquí»: no trae correo ni teléfono.",
        "Línea 6, «otro@»: no es un correo",
        "María José, maria@x.example",
        "Soto Iris, iris@x.example",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(asked.body.contains("\nluis@x\n9 8765 432\nnada aquí\notro@</textarea>"), "{}", asked.body);
    assert!(asked.body.contains("name=\"name\" value=\"María José\""), "{}", asked.body);
    assert!(!told.contains("Ana, ana@x.example") && !told.contains("12.531.909-2"), "{told}");
    // Nothing of it is kept for the next page.
    assert!(!app.get(&format!("/lists/{id}")).await.text().contains("María José"));
    let nothing = app.post(&path, &[("addresses", "nada\nluis@x")]).await;
    assert_eq!(nothing.status, axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nothing.text().contains("Línea 2, «luis@x»: el dominio"), "{}", nothing.text());
    assert!(nothing.body.contains("nada\nluis@x</textarea>"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn only_who_may_delete_deletes_lists_and_segments(db: PgPool) {
    use axum::http::StatusCode;
    use llovizna::access::Role;
    let app = TestApp::new(db.clone());
    let segment = keep(&db, "Gastan", &spenders()).await.unwrap();
    let list = new_list(&db, "Feria").await;
    let (staff, admin) = (app.as_role(Role::Staff).await, app.as_role(Role::Admin).await);
    for path in [format!("/lists/{list}"), format!("/segments/{segment}")] {
        let delete = format!("{path}?_method=DELETE");
        let seen = staff.get(&path).await.body;
        assert!(!seen.contains(&delete) && seen.contains(&format!("{path}/edit")), "{seen}");
        assert_eq!(staff.post(&delete, &[]).await.status, StatusCode::FORBIDDEN);
        assert!(admin.get(&path).await.body.contains(&delete));
        assert_eq!(admin.post(&delete, &[]).await.status, StatusCode::SEE_OTHER);
        assert!(app.get(&path).await.text().contains("eliminad"));
    }
    let actor = Actor::Staff { id: llovizna::ids::StaffId(1), name: "Eva".to_owned(), role: Role::Staff };
    let refused = list::delete(&mut db.begin().await.unwrap(), monday_noon(), &actor, list).await;
    assert!(matches!(refused, Err(Error::Forbidden)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_overwrites_a_list_that_they_have_not_seen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let made = app.post("/lists", &[("name", "Feria"), ("note", "Uno\nDos")]).await;
    let path = made.location().to_owned();
    let page = app.get(&format!("{path}/edit")).await;
    assert!(page.body.contains("name=\"seen_name\" value=\"Feria\""), "{}", page.body);
    let form = |name: &'static str, seen: &'static str| {
        [("name", name), ("note", "Uno\r\nDos"), ("seen_name", seen), ("seen_note", "Uno\r\nDos")]
    };
    assert_eq!(app.post(&path, &form("Feria 2026", "Feria")).await.status, StatusCode::SEE_OTHER);
    let late = app.post(&path, &form("Otra", "Feria")).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(late.text().contains("ahora se llama «Feria 2026»"), "{}", late.text());
    assert!(
        late.body.contains("name=\"seen_name\" value=\"Feria 2026\"") && late.body.contains("value=\"Otra\"")
    );
    let name = "select name from lists";
    assert_eq!(sqlx::query_scalar::<_, String>(name).fetch_one(&db).await.unwrap(), "Feria 2026");
    assert_eq!(app.post(&path, &form("Otra", "Feria 2026")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(sqlx::query_scalar::<_, String>(name).fetch_one(&db).await.unwrap(), "Otra");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_long_list_is_counted_as_far_as_it_matters_and_says_so(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (long, bare, exact) =
        (new_list(&db, "Larga").await, new_list(&db, "Sueltos").await, new_list(&db, "Justa").await);
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'Ana', n || '@sur.example', 'ana', now(), now() from generate_series(1, 25000) n",
    )
    .execute(&db)
    .await
    .unwrap();
    for (list, most) in [(long, 25_000_i64), (exact, 10_000)] {
        sqlx::query(
            "insert into list_members (list_id, contact_id, added_at)
             select $1, id, now() from contacts order by id limit $2",
        )
        .bind(list.0)
        .bind(most)
        .execute(&db)
        .await
        .unwrap();
    }
    sqlx::query(
        "insert into list_members (list_id, email, added_at)
         select $1, 'x' || n || '@x.example', now() from generate_series(1, 12000) n",
    )
    .bind(bare.0)
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("analyze").execute(&db).await.unwrap();
    let members = async |id| list::get(&db, id).await.unwrap().members;
    assert_eq!(members(long).await, list::ENOUGH + 1, "it is not counted to the end");
    assert_eq!(members(exact).await, 10_000);
    let externals = list_externals::count(&db, bare).await.unwrap();
    assert_eq!((externals.emails, externals.phones), (list::ENOUGH + 1, 0));
    let page = app.get(&format!("/lists/{long}")).await.text();
    assert!(page.contains("Más de 10.000 integrantes"), "{page}");
    let page = app.get(&format!("/lists/{exact}")).await.text();
    assert!(page.contains("10.000 integrantes") && !page.contains("Más de"), "{page}");
    let page = app.get(&format!("/lists/{bare}")).await.text();
    assert!(page.contains("Más de 10.000 direcciones no son de ningún contacto"), "{page}");
    assert!(page.contains("Crear los primeros 5.000 contactos"), "{page}");
    let all = app.get("/lists").await.text();
    assert_eq!(all.matches("Más de 10.000").count(), 2, "{all}");
    assert!(app.get("/campaigns/new").await.text().contains("Larga Más de 10.000"));
    // Five thousand at a time: it says what it knows of those that are left.
    let who = app.as_role(Role::Staff).await;
    who.post(&format!("/lists/{bare}/contacts"), &[]).await;
    let said = who.get(&format!("/lists/{bare}")).await.text();
    assert!(said.contains("Quedan 7.000 correos: repítelo para seguir."), "{said}");
    assert!(said.contains("7.000 direcciones no son"), "{said}");
}
