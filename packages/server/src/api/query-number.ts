// Whole numbers in queries, where everything is text.
import { SandportError } from '@sandport/protocol/errors';

/**
 * Undefined when nothing is given. Throws `bad_request`.
 *
 * @param digits at most
 * @param expected what an error says of the form
 */
export function readQueryNumber(
  name: string,
  text: string | undefined,
  digits: number,
  expected: string,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]+$/.test(text) && text.length <= digits) return Number(text);
  throw new SandportError('bad_request', `${name} is "${text.slice(0, 50)}"; expected ${expected}`);
}
