/** One asker at a time: who comes while a question is out, or shortly after its answer, shares it. */
export class SingleFlight<T> {
  readonly #ask: () => Promise<T>;
  readonly #freshMs: number;
  readonly #now: () => number;
  #flight: Promise<T> | undefined;
  #answer: { readonly value: T; readonly at: number } | undefined;

  /** @param freshMs Milliseconds for which an answer is given to later askers. */
  constructor(ask: () => Promise<T>, freshMs: number, now: () => number = () => performance.now()) {
    this.#ask = ask;
    this.#freshMs = freshMs;
    this.#now = now;
  }

  get(): Promise<T> {
    if (this.#answer !== undefined && this.#now() - this.#answer.at < this.#freshMs)
      return Promise.resolve(this.#answer.value);
    this.#flight ??= this.#ask()
      .then((value) => {
        this.#answer = { value, at: this.#now() };
        return value;
      })
      .finally(() => {
        this.#flight = undefined;
      });
    return this.#flight;
  }

  /** The next asker asks anew: something happened that makes the last answer old. */
  forget(): void {
    this.#answer = undefined;
  }
}
