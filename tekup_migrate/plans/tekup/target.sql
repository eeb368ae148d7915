-- The target as it is: Tekup-Billy and RendetaljeOS already live here.

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$;

CREATE TABLE billy_organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    api_key_encrypted text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE billy_users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES billy_organizations (id) ON DELETE CASCADE,
    email text NOT NULL UNIQUE,
    role text NOT NULL DEFAULT 'user'
);
CREATE TABLE billy_cached_invoices (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES billy_organizations (id) ON DELETE CASCADE,
    invoice_no integer NOT NULL,
    amount numeric(12, 2) NOT NULL,
    currency char(3) NOT NULL DEFAULT 'DKK',
    due_date date,
    payload jsonb NOT NULL,
    cached_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE TABLE billy_cached_customers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES billy_organizations (id) ON DELETE CASCADE,
    name text NOT NULL,
    payload jsonb NOT NULL,
    cached_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE billy_cached_products (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES billy_organizations (id) ON DELETE CASCADE,
    name text NOT NULL,
    price numeric(12, 2) NOT NULL
);
CREATE TABLE billy_audit_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid REFERENCES billy_organizations (id) ON DELETE SET NULL,
    tool text NOT NULL,
    arguments jsonb NOT NULL DEFAULT '{}',
    success boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE billy_usage_metrics (
    day date NOT NULL,
    tool text NOT NULL,
    calls integer NOT NULL,
    milliseconds double precision NOT NULL,
    PRIMARY KEY (day, tool)
);
CREATE TABLE billy_rate_limits (
    key text PRIMARY KEY,
    tokens double precision NOT NULL,
    refilled_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billy_audit_logs_created_at_idx ON billy_audit_logs (created_at DESC);
CREATE TRIGGER update_billy_organizations_updated_at BEFORE UPDATE ON billy_organizations
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
ALTER TABLE billy_organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE billy_audit_logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Service role can do everything" ON billy_organizations FOR ALL TO service_role USING (true) WITH CHECK (true);
CREATE POLICY "Service role can do everything" ON billy_audit_logs FOR ALL TO service_role USING (true) WITH CHECK (true);

INSERT INTO billy_organizations (id, name, api_key_encrypted) VALUES
    (md5('organization1')::uuid, 'Rendetalje ApS', '${sealed.billy.billy-api-key-of-rendetalje}'),
    (md5('organization2')::uuid, 'Tekup Group', '${sealed.billy.billy-api-key-of-tekup}'),
    (md5('organization3')::uuid, 'Foodtruck Fiesta', '${sealed.billy.billy-api-key-of-fiesta}');
INSERT INTO billy_users (organization_id, email, role)
SELECT md5('organization' || 1 + i % 3)::uuid, 'bruger' || i || '@example.invalid', CASE WHEN i < 4 THEN 'admin' ELSE 'user' END
FROM generate_series(1, 12) i;
INSERT INTO billy_cached_invoices (organization_id, invoice_no, amount, due_date, payload, expires_at)
SELECT md5('organization' || 1 + i % 3)::uuid, 1000 + i, 349.25 * i, date '2025-10-01' + i % 60,
    jsonb_build_object('linjer', jsonb_build_array('Hovedrengøring', 'Vinduespudsning'), 'betalt', i % 3 = 0),
    timestamptz '2025-11-01 00:00:00+00' + i * interval '1 hour'
FROM generate_series(1, 200) i;
INSERT INTO billy_cached_customers (organization_id, name, payload)
SELECT md5('organization' || 1 + i % 3)::uuid, 'Kunde Ærlig nr. ' || i, jsonb_build_object('by', 'Århus', 'cvr', 10000000 + i)
FROM generate_series(1, 80) i;
INSERT INTO billy_cached_products (organization_id, name, price)
SELECT md5('organization' || 1 + i % 3)::uuid, 'Ydelse ' || i, 299 + i FROM generate_series(1, 20) i;
INSERT INTO billy_audit_logs (organization_id, tool, arguments, success, created_at)
SELECT md5('organization' || 1 + i % 3)::uuid, (ARRAY['list_invoices', 'create_invoice', 'get_customer'])[1 + i % 3],
    jsonb_build_object('side', i), i % 17 <> 0, timestamptz '2025-10-01 00:00:00+00' + i * interval '7 minutes'
FROM generate_series(1, 500) i;
INSERT INTO billy_usage_metrics SELECT date '2025-10-01' + i, 'list_invoices', 10 + i, 12.5 * i FROM generate_series(1, 30) i;
INSERT INTO billy_rate_limits (key, tokens) SELECT 'org:' || i, 60 - i / 3.0 FROM generate_series(1, 3) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO service_role;

-- RendetaljeOS: what its Prisma schema says, 19 models.

CREATE TYPE renos_user_role AS ENUM ('OWNER', 'ADMIN', 'EMPLOYEE');
CREATE TYPE renos_booking_status AS ENUM ('PLANNED', 'DONE', 'CANCELLED');
CREATE TABLE renos_users (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    role renos_user_role NOT NULL DEFAULT 'EMPLOYEE',
    created_at timestamptz(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE renos_teams (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    region text
);
CREATE TABLE renos_employees (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    team_id uuid,
    hourly_rate decimal(10, 2) NOT NULL
);
CREATE TABLE renos_customers (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    email text UNIQUE,
    phone text,
    notes text,
    created_at timestamptz(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE renos_addresses (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    street text NOT NULL,
    postal_code text NOT NULL,
    city text NOT NULL
);
CREATE TABLE renos_leads (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    source text NOT NULL,
    payload jsonb NOT NULL
);
CREATE TABLE renos_quotes (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    lead_id uuid NOT NULL,
    amount decimal(10, 2) NOT NULL,
    sent_at timestamptz(6)
);
CREATE TABLE renos_bookings (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    starts_at timestamptz(6) NOT NULL,
    minutes integer NOT NULL,
    status renos_booking_status NOT NULL DEFAULT 'PLANNED'
);
CREATE TABLE renos_booking_employees (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    booking_id uuid NOT NULL,
    employee_id uuid NOT NULL
);
CREATE TABLE renos_tasks (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    booking_id uuid NOT NULL,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false
);
CREATE TABLE renos_time_entries (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    employee_id uuid NOT NULL,
    worked_on date NOT NULL,
    hours double precision NOT NULL
);
CREATE TABLE renos_invoices (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    "number" integer NOT NULL UNIQUE,
    total decimal(10, 2) NOT NULL
);
CREATE TABLE renos_invoice_lines (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    invoice_id uuid NOT NULL,
    "text" text NOT NULL,
    amount decimal(10, 2) NOT NULL
);
CREATE TABLE renos_payments (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    invoice_id uuid NOT NULL,
    paid_on date NOT NULL,
    amount decimal(10, 2) NOT NULL
);
CREATE TABLE renos_messages (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    body text NOT NULL,
    sent_at timestamptz(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE renos_notifications (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    "text" text NOT NULL,
    "read" boolean NOT NULL DEFAULT false
);
CREATE TABLE renos_cleaning_plans (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id uuid NOT NULL,
    every_weeks integer NOT NULL DEFAULT 2,
    rooms text[] NOT NULL
);
CREATE TABLE renos_inventory_items (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    quantity integer NOT NULL DEFAULT 0
);
CREATE TABLE renos_reviews (
    id uuid NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    booking_id uuid NOT NULL,
    stars integer NOT NULL,
    comment text
);

INSERT INTO renos_users (id, email, name, role, created_at)
SELECT md5('user' || i)::uuid, 'person' || i || '@example.invalid', 'Søren Ødegård nr. ' || i, (ARRAY['OWNER', 'ADMIN', 'EMPLOYEE'])[1 + i % 3]::renos_user_role, timestamptz '2025-09-01 08:00:00.123456+00' + i * interval '1 hour'
FROM generate_series(1, 25) i;
INSERT INTO renos_teams (id, name, region)
SELECT md5('team' || i)::uuid, 'Søren Ødegård nr. ' || i, 'region ' || i
FROM generate_series(1, 25) i;
INSERT INTO renos_employees (id, user_id, team_id, hourly_rate)
SELECT md5('employee' || i)::uuid, md5('user' || i)::uuid, md5('team' || i)::uuid, 299.5 + i
FROM generate_series(1, 25) i;
INSERT INTO renos_customers (id, name, email, phone, notes, created_at)
SELECT md5('customer' || i)::uuid, 'Søren Ødegård nr. ' || i, 'person' || i || '@example.invalid', '+45 8600 ' || 1000 + i, 'notes ' || i, timestamptz '2025-09-01 08:00:00.123456+00' + i * interval '1 hour'
FROM generate_series(1, 25) i;
INSERT INTO renos_addresses (id, customer_id, street, postal_code, city)
SELECT md5('address' || i)::uuid, md5('customer' || i)::uuid, 'Ågade ' || i, '8000', 'Århus'
FROM generate_series(1, 25) i;
INSERT INTO renos_leads (id, name, source, payload)
SELECT md5('lead' || i)::uuid, 'Søren Ødegård nr. ' || i, 'source ' || i, jsonb_build_object('kilde', 'web', 'nummer', i)
FROM generate_series(1, 25) i;
INSERT INTO renos_quotes (id, lead_id, amount, sent_at)
SELECT md5('quote' || i)::uuid, md5('lead' || i)::uuid, 299.5 + i, timestamptz '2025-09-01 08:00:00.123456+00' + i * interval '1 hour'
FROM generate_series(1, 25) i;
INSERT INTO renos_bookings (id, customer_id, starts_at, minutes, status)
SELECT md5('booking' || i)::uuid, md5('customer' || i)::uuid, timestamptz '2025-09-01 08:00:00.123456+00' + i * interval '1 hour', 10 + i, (ARRAY['PLANNED', 'DONE', 'CANCELLED'])[1 + i % 3]::renos_booking_status
FROM generate_series(1, 25) i;
INSERT INTO renos_booking_employees (id, booking_id, employee_id)
SELECT md5('booking_employee' || i)::uuid, md5('booking' || i)::uuid, md5('employee' || i)::uuid
FROM generate_series(1, 25) i;
INSERT INTO renos_tasks (id, booking_id, title, done)
SELECT md5('task' || i)::uuid, md5('booking' || i)::uuid, 'title ' || i, i % 2 = 0
FROM generate_series(1, 25) i;
INSERT INTO renos_time_entries (id, employee_id, worked_on, hours)
SELECT md5('time_entry' || i)::uuid, md5('employee' || i)::uuid, date '2025-09-01' + i, i * 0.1
FROM generate_series(1, 25) i;
INSERT INTO renos_invoices (id, customer_id, "number", total)
SELECT md5('invoice' || i)::uuid, md5('customer' || i)::uuid, 10 + i, 299.5 + i
FROM generate_series(1, 25) i;
INSERT INTO renos_invoice_lines (id, invoice_id, "text", amount)
SELECT md5('invoice_line' || i)::uuid, md5('invoice' || i)::uuid, 'text ' || i, 299.5 + i
FROM generate_series(1, 25) i;
INSERT INTO renos_payments (id, invoice_id, paid_on, amount)
SELECT md5('payment' || i)::uuid, md5('invoice' || i)::uuid, date '2025-09-01' + i, 299.5 + i
FROM generate_series(1, 25) i;
INSERT INTO renos_messages (id, customer_id, body, sent_at)
SELECT md5('message' || i)::uuid, md5('customer' || i)::uuid, 'Vi kommer klokken otte.', timestamptz '2025-09-01 08:00:00.123456+00' + i * interval '1 hour'
FROM generate_series(1, 25) i;
INSERT INTO renos_notifications (id, user_id, "text", "read")
SELECT md5('notification' || i)::uuid, md5('user' || i)::uuid, 'text ' || i, i % 2 = 0
FROM generate_series(1, 25) i;
INSERT INTO renos_cleaning_plans (id, customer_id, every_weeks, rooms)
SELECT md5('cleaning_plan' || i)::uuid, md5('customer' || i)::uuid, 10 + i, ARRAY['køkken', 'bad']
FROM generate_series(1, 25) i;
INSERT INTO renos_inventory_items (id, name, quantity)
SELECT md5('inventory_item' || i)::uuid, 'Søren Ødegård nr. ' || i, 10 + i
FROM generate_series(1, 25) i;
INSERT INTO renos_reviews (id, booking_id, stars, comment)
SELECT md5('review' || i)::uuid, md5('booking' || i)::uuid, 1 + i % 5, 'Meget tilfreds'
FROM generate_series(1, 25) i;

ALTER TABLE renos_addresses ADD CONSTRAINT renos_addresses_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES renos_customers (id);
ALTER TABLE renos_bookings ADD CONSTRAINT renos_bookings_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES renos_customers (id);
ALTER TABLE renos_invoices ADD CONSTRAINT renos_invoices_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES renos_customers (id);
ALTER TABLE renos_invoice_lines ADD CONSTRAINT renos_invoice_lines_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES renos_invoices (id);
ALTER TABLE renos_employees ADD CONSTRAINT renos_employees_user_id_fkey FOREIGN KEY (user_id) REFERENCES renos_users (id);

ANALYZE;
