// For tests: the ways to write one path that some server or proxy takes for the same.
import fc from 'fast-check';

/** A spelling of `path`, which is absolute and without special characters. */
export function spellings(path: string): fc.Arbitrary<string> {
  const name = fc.tuple(...[...path.slice(1)].map((letter) => spellLetter(letter))).map((letters) => letters.join(''));
  const segment = fc.constantFrom('files', 'process.Process', 'x', '%20', '...');
  const slash = fc.constantFrom('/', '//', '\\', '%2f', '%2F', '%5c', '/./', '/%2e/');
  const detour = fc
    .tuple(slash, segment, slash, fc.constantFrom('..', '%2e%2e', '.%2E'))
    .map((parts) => parts.join(''));
  const before = fc.array(fc.oneof(slash, detour), { maxLength: 3 }).map((parts) => parts.join(''));
  const after = fc.array(fc.constantFrom('/', '/.', '//', '/x/..', '\\', '%2f'), { maxLength: 2 });
  const query = fc.constantFrom('', '?', '?a=b', '?/../x', '?path=/files');
  return fc
    .tuple(before, slash, name, after, query)
    .map(([detours, last, text, tail, rest]) => `/${detours}${last}${text}${tail.join('')}${rest}`);
}

function spellLetter(letter: string): fc.Arbitrary<string> {
  const code = letter.charCodeAt(0).toString(16);
  const upper = letter.toUpperCase();
  return fc.constantFrom(
    letter,
    letter,
    upper,
    `%${code}`,
    `%${code.toUpperCase()}`,
    `%${upper.charCodeAt(0).toString(16)}`,
  );
}
