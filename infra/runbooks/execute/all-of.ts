/**
 * Waits for every one, so that nothing of it goes on while it is taken back.
 * @throws what the first of them that failed was rejected with
 */
export async function allOf(promises: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(promises);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
