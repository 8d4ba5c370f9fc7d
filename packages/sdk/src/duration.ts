import { InvalidArgumentError } from './errors.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads a duration as whole seconds: a number of them, or a text such as `90s`, `15m`, `1h`, `7d`. */
export function parseDuration(name: string, value: number | string): number {
  const match = typeof value === 'string' ? /^([0-9]{1,9})([smhd])$/.exec(value) : null;
  const seconds = match === null ? value : Number(match[1]) * SECONDS[match[2]!]!;
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError(
      `${name} is "${value}"; expected a number of seconds, or such as 30s, 15m, 1h or 7d`,
    );
  }
  return seconds;
}
