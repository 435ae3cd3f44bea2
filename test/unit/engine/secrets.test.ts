import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { newCrypter, openCrypter, passphraseFrom } from "../../../infra/engine/secrets.ts";

/**
 * Made by an independent implementation (Python's hashlib.pbkdf2_hmac and cryptography's AESGCM) from the passphrase
 * "correct horse", salt bytes 0..7, nonces 0..11 and 1..12.
 */
const SALT = "v1:AAECAwQFBgc=:v1:AAECAwQFBgcICQoL:Lsv0Mq4P43OA9/CWlvPiZJXoK3BhFA==";
const SECRET = "v1:AQIDBAUGBwgJCgsM:0+kzvpGc9wuqw1WNUfI/iPfaa3WO/QQ6uw==";

describe("passphrase secrets", () => {
  test("open what another implementation sealed", async () => {
    const crypter = await openCrypter("correct horse", SALT);
    expect(crypter.decrypt(SECRET)).toBe('"hunter2"');
    expect(crypter.salt).toBe(SALT);
  });

  test("come back, each under a nonce of its own", async () => {
    const crypter = await newCrypter("");
    const [first, second] = [crypter.encrypt("ü\n"), crypter.encrypt("ü\n")];
    expect(first).toMatch(/^v1:[A-Za-z0-9+/=]{16}:[A-Za-z0-9+/=]+$/);
    expect(second).not.toBe(first);
    const reopened = await openCrypter("", crypter.salt);
    expect(reopened.decrypt(first)).toBe("ü\n");
  });

  test("refuse a wrong passphrase, an altered text and a foreign form", async () => {
    await expect(openCrypter("wrong", SALT)).rejects.toThrow(/incorrect passphrase/);
    await expect(openCrypter("x", "v2:abc")).rejects.toThrow(/encryptionsalt: expected/);
    const crypter = await openCrypter("correct horse", SALT);
    expect(() => crypter.decrypt(SECRET.replace("0+kz", "0+kA"))).toThrow();
    expect(() => crypter.decrypt("plain")).toThrow(/not in the form/);
  });
});

describe("the passphrase", () => {
  test("comes from the variable, which may be empty, else from the file without white space", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "passphrase-")), "passphrase");
    await writeFile(file, "  from file\n");
    expect(passphraseFrom({ PULUMI_CONFIG_PASSPHRASE: "", PULUMI_CONFIG_PASSPHRASE_FILE: file })).toBe("");
    expect(passphraseFrom({ PULUMI_CONFIG_PASSPHRASE_FILE: file })).toBe("from file");
    expect(passphraseFrom({})).toBeUndefined();
    expect(() => passphraseFrom({ PULUMI_CONFIG_PASSPHRASE_FILE: `${file}.gone` })).toThrow(
      /PULUMI_CONFIG_PASSPHRASE_FILE: .*ENOENT/,
    );
  });
});
