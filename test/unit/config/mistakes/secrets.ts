import { anyHost, drop, each, pick, push, set } from "./tools.ts";
import type { Mistakes } from "./tools.ts";

const HIDDEN = "(hidden: a secret)";
const SECRET_KEYS = ["superuserPassword", "replicationPassword", "healthPassword", "peerSecret"] as const;

/** Mistakes with secrets: none of them may be told. */
export const SECRETS: Mistakes = {
  "a missing secret": {
    make: (raw, n) => {
      const key = pick(SECRET_KEYS, n);
      return {
        ...drop(raw, ["secrets", key]),
        fix: new RegExp(`pulumi config set --secret --path 'heatwave:secrets\\.${key}'`),
      };
    },
  },
  "a role without a password": {
    make: (raw) => {
      push(raw, ["postgres", "roles"], { name: "zz_app" }, "name");
      return {
        path: ["secrets", "roles", "zz_app"],
        fix: /--secret --path 'heatwave:secrets\.roles\.zz_app'/,
      };
    },
  },
  "a role named like something that every object has, without a password": {
    where: (raw) => !Object.hasOwn(raw.secrets.roles, "constructor"),
    make: (raw) => {
      push(raw, ["postgres", "roles"], { name: "constructor" }, "name");
      return { path: ["secrets", "roles", "constructor"], fix: /roles\.constructor'/ };
    },
  },
  ...each("a password without a role", ["never to be seen"], () => ["secrets", "roles", "zz_app"], {
    shown: HIDDEN,
    fix: /declare the role/,
  }),
  "no secrets": { make: (raw) => ({ ...drop(raw, ["secrets"]), fix: /pulumi config set --secret --path/ }) },
  ...each("a secret too short", ["short'1", ""], (_raw, n) => ["secrets", pick(SECRET_KEYS, n)], {
    shown: HIDDEN,
    allowed: /(8|16) to 512/,
    notInFiles: true,
  }),
  ...each(
    "a secret that is not printable",
    [
      "line 1 of it\nline 2",
      "tab\there and so on",
      "passwörd-with-umlaut",
      "\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008",
    ],
    (_raw, n) => ["secrets", pick(SECRET_KEYS, n)],
    { shown: HIDDEN, notInFiles: true },
  ),
  ...each("a secret that is a number", [1234567890], (_raw, n) => ["secrets", pick(SECRET_KEYS, n)], {
    shown: HIDDEN,
  }),
  ...each("a secret that is a list", [["inside-the-list"]], (_raw, n) => ["secrets", pick(SECRET_KEYS, n)], {
    shown: "a list (1)",
    notInFiles: true,
  }),
  ...each("an unknown secret", ["kept-in-the-wrong-place"], () => ["secrets", "superUserPasswort"], {
    shown: HIDDEN,
  }),
  ...each("secrets that are a text", ['{"superuserPassword": "x'], () => ["secrets"], {
    shown: HIDDEN,
    notInFiles: true,
  }),
  ...each("passwords that are a text", ["not-a-mapping-at-all"], () => ["secrets", "roles"], {
    shown: HIDDEN,
    notInFiles: true,
  }),
  "a password in another place": {
    notInFiles: true,
    make: (raw, n) => ({ ...set(raw, ["primary"], raw.secrets[pick(SECRET_KEYS, n)]), shown: HIDDEN }),
  },
  "a password inside another text": {
    notInFiles: true,
    make: (raw, n) => ({
      ...set(raw, [...anyHost(raw, n), "ssh", "user"], `deploy:${raw.secrets.peerSecret}@dal`),
      shown: HIDDEN,
    }),
  },
  "a password as an unknown key's value": {
    notInFiles: true,
    make: (raw) => ({ ...set(raw, ["superuserPassword"], raw.secrets.superuserPassword), shown: HIDDEN }),
  },
};
