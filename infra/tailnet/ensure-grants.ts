import type { TailnetApi } from "./api.ts";
import { TailnetApiError } from "./api.ts";
import { withGrants } from "./policy-file.ts";

/** Times that a write is tried again because somebody else's came between. */
const TRIES = 3;

/**
 * Puts a stack's grants into the tailnet's policy file, or takes them out. Read, merged, validated by the API, and
 * written only if the file is still the one that was read (If-Match): nobody's change is lost.
 * @param lines grants, each with its comma; empty = out
 * @returns what was done, in a word
 * @throws {PolicyFileError} {TailnetApiError}
 */
export async function ensureGrants(
  api: TailnetApi,
  stack: string,
  lines: readonly string[],
): Promise<"unchanged" | "written"> {
  const path = api.tailnetPath("acl");
  const contentType = "application/hujson";
  for (let left = TRIES; ; left -= 1) {
    const { text, etag } = await api.request({ method: "GET", path, contentType });
    const merged = withGrants(text, stack, lines);
    if (merged === text) return "unchanged";
    if (etag === undefined)
      throw new TailnetApiError(0, `GET ${path}: the answer has no ETag, so nothing is written`);
    await validate(api, merged);
    try {
      await api.request({ method: "POST", path, body: merged, contentType, headers: { "if-match": etag } });
      return "written";
    } catch (error) {
      if (!(error instanceof TailnetApiError && error.status === 412) || left <= 1) throw error;
    }
  }
}

/** 200 with a message is an objection (tailscale-client-go-v2, Validate). */
async function validate(api: TailnetApi, policy: string): Promise<void> {
  const answer = await api.json<{ message?: string } | null>({
    method: "POST",
    path: api.tailnetPath("acl", "validate"),
    body: policy,
    contentType: "application/hujson",
  });
  if (answer?.message !== undefined && answer.message !== "") {
    throw new TailnetApiError(
      200,
      `Tailscale refuses the policy file with the stack's grants; nothing was written; fix: see its tests and tagOwners in the admin console (Access controls): ${answer.message}`,
    );
  }
}
