// The directory that every sandbox sees, read-only, at /.sandport: Node with its own libraries, and the agent in one file.
// Its name is a hash of its content: a changed agent gets a directory of its own, and sandboxes that run, or sleep in a
// snapshot, keep theirs.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { agentsDirectory } from './locations.js';
import { pinnedNode } from './pinned-node.js';
import { sharedLibraries } from './shared-libraries.js';
import { readJson, writeJson } from './write-json.js';

const ENTRY = join('packages', 'agent', 'src', 'main.ts');
/** What the bundle is made of; a change of any file there, or of what npm installed, asks for a new one. */
const INPUTS = ['packages/agent', 'packages/native', 'packages/protocol', 'package-lock.json', 'scripts/setup'];
/** Native addons that the agent loads from beside its bundle. One that is not installed is left out. */
const ADDONS = {
  'koffi.node': join('node_modules', '@koromix', `koffi-linux-${process.arch}`, `linux_${process.arch}`, 'koffi.node'),
};
const MOUNT_POINT = '/.sandport';
const VERSION_LENGTH = 12;
const UNFINISHED = '.unfinished-';
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * Makes the agent directory of this repository's state, or finds the one made before. Safe beside another process that
 * does the same.
 *
 * @param {{ root: string, log: (line: string) => void }} options the repository, and where to tell what is made
 * @returns {Promise<string>} the directory
 */
export async function prepareAgentDirectory({ root, log }) {
  mkdirSync(agentsDirectory, { recursive: true });
  const node = pinnedNode(root);
  const inputs = fingerprint(root, node);
  const memory = join(agentsDirectory, 'latest.json');
  const known = readJson(memory);
  if (known?.inputs === inputs && existsSync(known.directory)) return known.directory;

  removeAbandoned();
  const { loader, libraries } = await sharedLibraries(node.binary);
  const runtime = makeRuntime(root, node, libraries);
  const bundle = await bundleAgent(root);
  const command = [
    `${MOUNT_POINT}/lib/${loader}`,
    ...['--library-path', `${MOUNT_POINT}/lib`],
    `${MOUNT_POINT}/node`,
    `${MOUNT_POINT}/agent.js`,
  ];
  const version = shortHash([runtime, bundle]);
  const directory = join(agentsDirectory, version);
  if (!existsSync(directory)) {
    createWhole(directory, (unfinished) => {
      // Links, not copies: an agent costs the size of its bundle, and all versions share one Node in memory.
      linkTree(runtime, unfinished);
      writeFileSync(join(unfinished, 'agent.js'), bundle);
      writeJson(join(unfinished, 'agent.json'), { version, node: node.version, command });
    });
    log(`agent: made version ${version}`);
  }
  writeJson(memory, { inputs, directory });
  return directory;
}

/** @param {string} directory as `prepareAgentDirectory` returned it */
export function agentCommand(directory) {
  return readJson(join(directory, 'agent.json')).command;
}

/** @param {string} root the repository */
export function hasAgent(root) {
  return existsSync(join(root, ENTRY));
}

/**
 * Node with its libraries and addons, once for each version of them.
 *
 * @param {string} root
 * @param {{ binary: string, version: string }} node
 * @param {readonly import('./shared-libraries.js').SharedLibrary[]} libraries
 * @returns {string} the directory
 */
function makeRuntime(root, node, libraries) {
  const contents = [
    ...libraries.map(({ name, file }) => [join('lib', name), readFileSync(file)]),
    ...readAddons(root),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  const directory = join(agentsDirectory, `node-${node.version}-${shortHash([process.arch, ...contents.flat()])}`);
  if (!existsSync(directory)) {
    createWhole(directory, (unfinished) => {
      copyFileSync(node.binary, join(unfinished, 'node'));
      chmodSync(join(unfinished, 'node'), 0o755);
      mkdirSync(join(unfinished, 'lib'));
      for (const [name, content] of contents) writeFileSync(join(unfinished, name), content, { mode: 0o755 });
    });
  }
  return directory;
}

/**
 * @param {string} root
 * @returns {Promise<Uint8Array>}
 */
async function bundleAgent(root) {
  // Not at the top: esbuild is there only after "npm ci".
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [ENTRY],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    // CommonJS starts without the module loader's asynchronous steps.
    format: 'cjs',
    // Which a module of that kind has not.
    define: { 'import.meta.url': JSON.stringify(`file://${MOUNT_POINT}/agent.js`) },
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  return outputFiles[0].contents;
}

/**
 * @param {string} root
 * @returns {[name: string, content: Uint8Array][]}
 */
function readAddons(root) {
  const present = Object.entries(ADDONS).filter(([, path]) => existsSync(join(root, path)));
  return present.map(([name, path]) => [name, readFileSync(join(root, path))]);
}

/**
 * Names and times of all inputs, which is as good as their content and takes a millisecond to read.
 *
 * @param {string} root
 * @param {{ binary: string, version: string }} node
 */
function fingerprint(root, node) {
  /** @type {string[]} */
  const parts = [process.arch, node.version];
  const visit = (path) => {
    const stats = statSync(path);
    if (stats.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
    else parts.push(`${path} ${stats.size} ${stats.mtimeMs}`);
  };
  for (const input of [...INPUTS, ...Object.values(ADDONS)])
    if (existsSync(join(root, input))) visit(join(root, input));
  return shortHash(parts);
}

/**
 * @param {string} directory
 * @param {(unfinished: string) => void} fill
 */
function createWhole(directory, fill) {
  const unfinished = mkdtempSync(join(agentsDirectory, UNFINISHED));
  try {
    fill(unfinished);
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, directory);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another process was first; the content is the same, because the name is its hash.
    if (!existsSync(directory)) throw error;
  }
}

/** What a process that was killed left; another one may be at work on a younger one. */
function removeAbandoned() {
  for (const name of readdirSync(agentsDirectory)) {
    const path = join(agentsDirectory, name);
    if (!name.startsWith(UNFINISHED) || Date.now() - statSync(path).mtimeMs < ABANDONED_AFTER_MS) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

/**
 * @param {string} from
 * @param {string} to exists
 */
function linkTree(from, to) {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(target);
      linkTree(source, target);
    } else {
      linkSync(source, target);
    }
  }
}

/** @param {readonly (string | Uint8Array)[]} parts */
function shortHash(parts) {
  const hash = createHash('sha256');
  // The length before each part keeps two lists apart that read the same when joined.
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, VERSION_LENGTH);
}
