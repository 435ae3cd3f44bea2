/** Figures as operators read them. Pure. */

const UNITS = ["B", "kiB", "MiB", "GiB", "TiB"] as const;

/** `0 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ""}`;
}

/** Milliseconds as `412 ms`, from a second on as {@link durationText}. */
export function spanText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : durationText(ms / 1000);
}

/** Seconds as `0.4 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}
