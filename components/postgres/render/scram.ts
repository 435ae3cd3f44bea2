import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

/** PostgreSQL's default; higher ones cost every login of an app that does not keep connections. */
const ITERATIONS = 4096;

/**
 * The SCRAM-SHA-256 verifier that PostgreSQL and PgBouncer store in place of a password (RFC 5803, PostgreSQL's
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`).
 *
 * The salt is derived from the password and the role, so that the text is the same at every render: files stay
 * stable, and PgBouncer can pass a login through because both sides hold the same verifier. A verifier reveals
 * whether two stacks share a role's password, which a random salt would hide; it is kept as a secret for that.
 *
 * @param password printable ASCII (held to by the schema, so SASLprep changes nothing)
 */
export function scramVerifier(role: string, password: string): string {
  const salt = createHmac("sha256", password).update(`heatwave scram salt\0${role}`).digest().subarray(0, 16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest();
  const serverKey = createHmac("sha256", salted).update("Server Key").digest();
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey.toString("base64")}:${serverKey.toString("base64")}`;
}
