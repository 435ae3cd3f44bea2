import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

/** Encrypts and decrypts short texts in Pulumi's passphrase format `v1:<nonce>:<ciphertext‖tag>`. */
export interface Crypter {
  /** Pulumi's `encryptionsalt`: the salt with a check message, safe to store. */
  readonly salt: string;
  encrypt(plaintext: string): string;
  /** @throws Error when the text was encrypted with another key or has been altered. */
  decrypt(ciphertext: string): string;
}

const ITERATIONS = 1_000_000;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CHECK = "pulumi";

const derive = promisify(pbkdf2);

export class WrongPassphraseError extends Error {
  override readonly name = "WrongPassphraseError";
}

/**
 * The passphrase from PULUMI_CONFIG_PASSPHRASE (may be empty) or the file PULUMI_CONFIG_PASSPHRASE_FILE
 * (white space at both ends removed); undefined when neither is set.
 */
export function passphraseFrom(env: NodeJS.ProcessEnv): string | undefined {
  const direct = env["PULUMI_CONFIG_PASSPHRASE"];
  if (direct !== undefined) return direct;
  const file = env["PULUMI_CONFIG_PASSPHRASE_FILE"];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new Error(`PULUMI_CONFIG_PASSPHRASE_FILE: ${(error as Error).message}`);
  }
}

/**
 * Opens an existing salt. Costs about 0.3 s of CPU on another thread (PBKDF2 with a million rounds).
 * @throws WrongPassphraseError when the check message does not match.
 */
export async function openCrypter(passphrase: string, salt: string): Promise<Crypter> {
  const [version, saltBytes, ...check] = salt.split(":");
  if (version !== "v1" || saltBytes === undefined || check.length !== 3) {
    throw new Error('encryptionsalt: expected "v1:<salt>:v1:<nonce>:<ciphertext>"');
  }
  const key = await derive(passphrase, Buffer.from(saltBytes, "base64"), ITERATIONS, KEY_BYTES, "sha256");
  const crypter = new PassphraseCrypter(key, salt);
  let message: string;
  try {
    message = crypter.decrypt(check.join(":"));
  } catch {
    message = "";
  }
  if (message !== CHECK) {
    throw new WrongPassphraseError(
      "incorrect passphrase: it does not open the stack's encryptionsalt; set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE",
    );
  }
  return crypter;
}

/** Makes a new salt for a passphrase. */
export async function newCrypter(passphrase: string): Promise<Crypter> {
  const saltBytes = randomBytes(8);
  const key = await derive(passphrase, saltBytes, ITERATIONS, KEY_BYTES, "sha256");
  const check = new PassphraseCrypter(key, "").encrypt(CHECK);
  return new PassphraseCrypter(key, `v1:${saltBytes.toString("base64")}:${check}`);
}

class PassphraseCrypter implements Crypter {
  readonly salt: string;
  readonly #key: Buffer;

  constructor(key: Buffer, salt: string) {
    this.#key = key;
    this.salt = salt;
  }

  encrypt(plaintext: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `v1:${nonce.toString("base64")}:${sealed.toString("base64")}`;
  }

  decrypt(ciphertext: string): string {
    const [version, nonce, sealedText] = ciphertext.split(":");
    const sealed = Buffer.from(sealedText ?? "", "base64");
    if (version !== "v1" || nonce === undefined || sealed.length < TAG_BYTES) {
      throw new Error('a secret is not in the form "v1:<nonce>:<ciphertext>"');
    }
    const decipher = createDecipheriv("aes-256-gcm", this.#key, Buffer.from(nonce, "base64"));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    return decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
  }
}
