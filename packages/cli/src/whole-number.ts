// Numbers on the command line.
import { InvalidArgumentError } from 'commander';

/** For options: commander says which one was wrong. */
export function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('expected a whole number');
  return Number(value);
}
