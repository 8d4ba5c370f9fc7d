// docs/compatibility.md has every method of the installed `e2b` package, and says of ours and of the tests what is true.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Sandbox as Official } from 'e2b';
import { ConnectionConfig, Sandbox } from 'sandport';

const root = new URL('../', import.meta.url);
const page = readFileSync(new URL('docs/compatibility.md', root), 'utf8');
const installed = dirname(createRequire(import.meta.url).resolve('e2b'));
const typings = readFileSync(join(installed, 'index.d.ts'), 'utf8');

/** Never connected to: only what it is made of counts. */
const options = { apiKey: `e2b_${'0'.repeat(40)}`, domain: 'box.test' };
const sandboxId = 'i0123456789abcdefghij';
const official = new Official({ ...options, sandboxId, envdVersion: '0.6.13' });
const answer = { sandboxID: sandboxId, templateID: 'base', clientID: 'test', envdVersion: '0.6.13', domain: null };
const own = new Sandbox({ answer, config: new ConnectionConfig(options) });

interface Row {
  readonly method: string;
  readonly official: string;
  readonly own: string;
  readonly last: string;
}

interface Section {
  readonly heading: string;
  /** Class names in the typings, which tell what is private. */
  readonly classes: readonly string[];
  readonly official: object;
  readonly own: object | undefined;
}

const sections: readonly Section[] = [
  {
    heading: 'Static methods of `Sandbox`',
    classes: ['Sandbox', 'SandboxApi', 'ClientFactory'],
    official: Official,
    own: Sandbox,
  },
  {
    heading: 'Methods of a sandbox',
    classes: ['Sandbox', 'SandboxApi', 'ClientFactory'],
    official: Official.prototype,
    own: Sandbox.prototype,
  },
  { heading: '`commands`', classes: ['Commands'], official: prototypeOf(official.commands), own: own.commands },
  { heading: '`files`', classes: ['Filesystem'], official: prototypeOf(official.files), own: own.files },
  { heading: '`pty`', classes: ['Pty'], official: prototypeOf(official.pty), own: own.pty },
  { heading: '`git`', classes: ['Git'], official: prototypeOf(official.git), own: own.git },
];

for (const section of sections) {
  const rows = rowsUnder(section.heading);

  test(`${section.heading}: every method of e2b is there once, and none that is gone`, () => {
    const methods = publicMethods(section);
    assert(methods.length > 4, 'the reflection found the methods');
    assert.deepEqual(rows.map(({ method }) => method).sort(), methods.sort());
  });

  test(`${section.heading}: "absent" stands where sandport has no such method, and only there`, () => {
    for (const { method, own: state } of rows) {
      const present = section.own !== undefined && method in section.own;
      assert.equal(state === 'absent', !present, method);
      assert.match(state, /^(works|not yet|absent)$/, method);
    }
  });

  test(`${section.heading}: what works is called in the files that are named`, () => {
    for (const { method, official: state, own: ownState, last } of rows) {
      assert.match(state, /^(works|not yet)$/, method);
      const files = [...last.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, path]) => path!);
      // Ours is shown by a file of its own, or by one that runs the same tests with both clients.
      const expected = (state === 'works' ? 1 : 0) + (ownState === 'works' ? 1 : 0);
      const shared = files.length === 1 && expected === 2 && runsBothClients(files[0]!);
      assert.equal(shared ? 2 : files.length, expected, `${method}: ${last}`);
      for (const path of files) {
        const source = readFileSync(new URL(path, root), 'utf8');
        assert(source.includes(`.${method}(`), `${path} does not call ${method}`);
      }
      if (expected === 0) assert.notEqual(last, '', `${method}: what the server answers is missing`);
    }
  });
}

test('the page names the installed version', () => {
  const { version } = JSON.parse(readFileSync(join(installed, '../package.json'), 'utf8')) as { version: string };
  assert(page.includes(`version ${version} of \`e2b\``), version);
});

function runsBothClients(path: string): boolean {
  const source = readFileSync(new URL(path, root), 'utf8');
  return ["from 'e2b';", "from 'sandport';"].every((imported) => source.includes(imported));
}

/** The rows of the table under a heading. */
function rowsUnder(heading: string): Row[] {
  const text = page.split(`\n## ${heading}\n`)[1];
  assert(text !== undefined, `the page has no part "${heading}"`);
  const lines = text.split('\n## ')[0]!.split('\n');
  return lines
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [method = '', official = '', own = '', last = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return { method: method.replaceAll('`', ''), official, own, last };
    });
}

/** Names of the functions that an object has, down to what every function or object has. */
function publicMethods({ classes, official }: Section): string[] {
  const hidden = new Set(['constructor', ...classes.flatMap(privateNames)]);
  const names = new Set<string>();
  let object: object = official;
  while (object !== Object.prototype && object !== Function.prototype) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      if (typeof value === 'function' && !hidden.has(name)) names.add(name);
    }
    object = prototypeOf(object);
  }
  return [...names];
}

/** What the typings of a class call private or protected: at run time nothing tells. */
function privateNames(name: string): string[] {
  const [declaration] = new RegExp(`^declare (abstract )?class ${name}\\b[^]*?^}`, 'm').exec(typings) ?? [];
  assert(declaration !== undefined, `the typings declare no class ${name}`);
  const members = declaration.matchAll(/^ {2}(?:private|protected) (?:static )?(?:readonly )?(\w+)/gm);
  return [...members].map(([, member]) => member!);
}

function prototypeOf(object: object): object {
  return Object.getPrototypeOf(object) as object;
}
