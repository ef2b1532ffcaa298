-- No sentence of its body ends in a name: many have a full stop of their own (Ltda.).
-- The campaign that the first business starts with, ready once the legal sender is known.
with text_ as (
    insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
    values (
        'EMAIL', 'campaign:prospeccion-los-lagos', 1,
        '{{ first_name | default("Hola") }}, una idea para {{ company }}',
        E'Hola {{ first_name | default("equipo") }}:\n\nTe escribo de {{ business_name }}, que trabaja con empresas de la Región de Los Lagos. Creemos que a {{ company }} le puede servir lo que hacemos.\n\n¿Te parece si conversamos quince minutos esta semana? Puedes responder directamente a este correo.\n\nSaludos cordiales,\n{{ business_name }}',
        'TEXT',
        E'Este correo promocional lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\nSi no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}',
        now())
    returning id
)
insert into campaigns (name, communication_type, message_type, status, audience, template_id, batch_size, created_at, updated_at)
select 'Prospección Los Lagos', 'EMAIL', 'PROMOCIONAL', 'DRAFT',
       '{"industries": [], "comunas": [], "import_ids": []}', id, 30,
       now(), now()
from text_;
