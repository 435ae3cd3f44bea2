import { FileBackend, backendRoot } from "./backend.ts";
import { CheckpointWriter, openCheckpoint, readCheckpoint } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { integrityError } from "./integrity.ts";
import { EngineError, NoSuchStackError } from "./engine-error.ts";
import { SecretMask } from "./secret-mask.ts";
import { newCrypter, openCrypter, passphraseFrom } from "./secrets.ts";
import type { Crypter } from "./secrets.ts";
import { configOf, hasSecureLeaves, readProject, readStackFile, stackNames } from "./stack-file.ts";
import type { Config, Project, StackFile } from "./stack-file.ts";
import { NO_PASSPHRASE, StateSeal } from "./state-values.ts";

/** A stack that was opened: what the program gets, what the state holds, and where to write it. */
export interface Session {
  readonly project: Project;
  readonly stack: string;
  readonly config: Config;
  readonly backend: FileBackend;
  readonly checkpoint: Checkpoint;
  readonly writer: CheckpointWriter;
  /** The state file as it was read; undefined when there is none. */
  readonly text: string | undefined;
  /** Knows every secret that was opened. */
  readonly mask: SecretMask;
}

export interface SessionOptions {
  readonly cwd: string;
  readonly stack: string;
  readonly env: NodeJS.ProcessEnv;
  /** True when the state will be written, so that a key for its secrets must be at hand. */
  readonly writes: boolean;
  /** False skips the configuration's secrets: refresh, destroy and outputs run no program. */
  readonly needsConfig: boolean;
}

const STACK_NAME = /^[A-Za-z0-9_.-]+$/;

/** Where a stack's state and locks are; opens nothing. */
export function openBackend(options: Pick<SessionOptions, "cwd" | "stack" | "env">): FileBackend {
  return backendOf(readProject(options.cwd), options);
}

function backendOf(project: Project, options: Pick<SessionOptions, "cwd" | "stack" | "env">): FileBackend {
  if (!STACK_NAME.test(options.stack)) {
    throw new EngineError(
      `stack ${JSON.stringify(options.stack)}: allowed are letters, digits, ".", "_" and "-"`,
    );
  }
  const fromEnv = options.env["PULUMI_BACKEND_URL"];
  const url = fromEnv === undefined || fromEnv === "" ? project.backendUrl : fromEnv;
  return new FileBackend(backendRoot(url, project.root, options.cwd), project.name, options.stack);
}

/**
 * Reads Pulumi.yaml, the stack's file and its state.
 * @throws EngineError, or WrongPassphraseError, when one of them cannot be read; NoSuchStackError when the stack has
 * neither a file nor a state though the project has other stack files.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const project = readProject(options.cwd);
  const backend = backendOf(project, options);
  const file = readStackFile(project, options.stack);
  const text = await backend.read();
  if (text === undefined) await checkStackName(project, options.stack);
  const sealed = text === undefined ? undefined : readCheckpoint(text);
  const damage = sealed === undefined ? undefined : integrityError(sealed.latest);
  if (damage !== undefined) {
    throw new EngineError(
      `${backend.stateFile}: snapshot integrity error: ${damage}\n  fix: put back ${backend.stateFile}.bak, the state before the last run, or a checkpoint of ${backend.historyDirectory}`,
    );
  }
  const keys = new Keyring(passphraseFrom(options.env));
  const isOverlaid = (options.env["HEATWAVE_OVERLAY"] ?? "") !== "";

  // Keys are derived at the same time, each on a thread of its own.
  const forState = sealed?.hasSecrets === true ? keys.open(sealed.salt) : undefined;
  const openConfig = options.needsConfig ? configOpener(file, keys, isOverlaid) : undefined;
  const forWriting = options.writes
    ? keys.open((isOverlaid ? undefined : file.encryptionSalt) ?? sealed?.salt, true)
    : undefined;
  const [stateCrypter, open, writeCrypter] = await Promise.all([forState, openConfig, forWriting]);

  const seal = new StateSeal(writeCrypter);
  const mask = new SecretMask();
  const isSameKey = stateCrypter?.salt === writeCrypter?.salt;
  const checkpoint: Checkpoint =
    sealed === undefined
      ? { resources: [], pendingOperations: [] }
      : openCheckpoint(
          sealed,
          (ciphertext) => (stateCrypter ?? missingKey()).decrypt(ciphertext),
          (secret, ciphertext) => {
            if (isSameKey) seal.remember(secret, ciphertext);
          },
        );
  const pending = checkpoint.pendingOperations.map(({ resource }) => resource);
  for (const { type, inputs, outputs } of [...checkpoint.resources, ...pending]) {
    mask.addProperties(type, inputs);
    mask.addProperties(type, outputs);
  }
  return {
    project,
    stack: options.stack,
    config:
      open === undefined
        ? { values: {}, secretKeys: [] }
        : configOf(file, project, (text) => noted(mask, open(text))),
    backend,
    checkpoint,
    text,
    mask,
    writer: new CheckpointWriter(
      `organization/${project.name}/${options.stack}`,
      writeCrypter?.salt ?? sealed?.salt,
      seal.seal,
    ),
  };
}

/** A slip in a stack's name would be a new stack with an empty configuration, and every resource made twice. */
async function checkStackName(project: Project, stack: string): Promise<void> {
  const known = stackNames(project);
  if (known.length === 0 || known.includes(stack)) return;
  // Only a refused run pays for loading it.
  const { nearest } = await import("../config/words.ts");
  const near = nearest(stack, known);
  const fix =
    near === undefined
      ? `name one of them, or write Pulumi.${stack}.yaml first`
      : `did you mean ${near}? For a new stack, write Pulumi.${stack}.yaml first`;
  throw new NoSuchStackError(
    `stack ${JSON.stringify(stack)}: no such stack, neither a file nor a state\n` +
      `  allowed: ${known.join(", ")} (the Pulumi.<stack>.yaml files in ${project.root})\n  fix: ${fix}`,
  );
}

function noted(mask: SecretMask, text: string): string {
  mask.addText(text);
  return text;
}

function missingKey(): never {
  throw new EngineError(NO_PASSPHRASE);
}

/** In a sealed rehearsal the passphrase is the world's own: secure values become empty, their keys stay secret. */
async function configOpener(
  file: StackFile,
  keys: Keyring,
  isOverlaid: boolean,
): Promise<(ciphertext: string) => string> {
  if (isOverlaid || !hasSecureLeaves(file)) return () => "";
  if (file.encryptionSalt === undefined) {
    throw new EngineError(`${file.path}: it has secure values but no encryptionsalt`);
  }
  const crypter = await keys.open(file.encryptionSalt);
  return (ciphertext) => crypter.decrypt(ciphertext);
}

/** Derives the key of each salt once. */
class Keyring {
  readonly #passphrase: string | undefined;
  readonly #opened = new Map<string, Promise<Crypter>>();

  constructor(passphrase: string | undefined) {
    this.#passphrase = passphrase;
  }

  /** @param orNew - makes a salt when there is none. */
  open(salt: string | undefined, orNew = false): Promise<Crypter> {
    const passphrase = this.#passphrase;
    if (passphrase === undefined) {
      throw new EngineError(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE (an empty PULUMI_CONFIG_PASSPHRASE counts)",
      );
    }
    if (salt === undefined) {
      if (orNew) return newCrypter(passphrase);
      throw new EngineError("the state has secrets but names no salt to open them with");
    }
    let opened = this.#opened.get(salt);
    if (opened === undefined) {
      opened = openCrypter(passphrase, salt);
      this.#opened.set(salt, opened);
    }
    return opened;
  }
}
