/** Statements on replication slots, which a superuser runs at one site. */

/** In recovery alone: a primary's slot that is idle waits for its standby. Unreserved, as a founding makes them. */
export const FREE_SLOTS = `do $$
declare idle record;
begin
  for idle in select slot_name from pg_replication_slots
    where pg_is_in_recovery() and slot_type = 'physical' and starts_with(slot_name, 'heatwave_')
      and not active and restart_lsn is not null
  loop
    perform pg_drop_replication_slot(idle.slot_name);
    perform pg_create_physical_replication_slot(idle.slot_name);
  end loop;
end $$`;

/** Of a standby, where it holds nothing yet or WAL that it no longer needs. */
export const reserveSlot = (slot: string): string => `do $$
begin
  if pg_is_in_recovery() and not exists (select from pg_replication_slots where slot_name = '${slot}' and active) then
    perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${slot}';
    perform pg_create_physical_replication_slot('${slot}', true);
  end if;
end $$`;

/** Of a standby at its primary; lost, it is of no use any more. */
export const makeSlot = (slot: string): string => `do $$
begin
  perform pg_drop_replication_slot(slot_name) from pg_replication_slots
    where slot_name = '${slot}' and wal_status = 'lost' and not active;
  if not exists (select from pg_replication_slots where slot_name = '${slot}') then
    perform pg_create_physical_replication_slot('${slot}');
  end if;
end $$`;

/** Whoever still reads it is ended. */
export const dropSlot = (slot: string): string => `do $$
begin
  for look in 1..50 loop
    perform pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '${slot}' and active;
    begin
      perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${slot}';
      return;
    exception when object_in_use then perform pg_sleep(0.1);
    end;
  end loop;
  raise 'slot ${slot} stays in use';
end $$`;

/** Idle, and keeping no WAL; in recovery alone. */
export const standbySlots = (slots: readonly string[]): string => `${FREE_SLOTS};
select pg_create_physical_replication_slot(name) from unnest(array[${slots.map((slot) => `'${slot}'`).join(", ")}]) name
 where pg_is_in_recovery() and not exists (select from pg_replication_slots where slot_name = name)`;
