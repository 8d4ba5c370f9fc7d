// Where this machine gets Debian's packages from, asked of apt itself: the base image and newer packages come from the
// same place, be it a mirror of one's own network or the public one.
import { run } from './run.js';

/** @typedef {{ site: string, suite: string, component: string, signedBy: string | undefined }} AptSource */

const FORMAT = '$(SITE)|$(RELEASE)|$(COMPONENT)|$(CODENAME)|$(LABEL)|$(SIGNED_BY)';

/**
 * Reads what `apt-get indextargets` prints in the format above and keeps Debian's own main component: the release, its
 * updates and its security updates. apt leaves `$(NAME)` standing for what it does not know.
 *
 * @param {string} text
 * @param {string} codename such as `bookworm`
 * @returns {AptSource[]}
 */
export function parseIndexTargets(text, codename) {
  const suites = [codename, `${codename}-updates`, `${codename}-security`];
  /** @type {Map<string, AptSource>} */
  const sources = new Map();
  for (const line of text.split('\n')) {
    const [site, release, component, knownAs, label, signedBy] = line
      .split('|')
      .map((field) => (field.startsWith('$(') ? '' : field));
    // Sources that name a suite such as `stable` are known by the code name of what they deliver.
    const suite = [release, knownAs].find((name) => suites.includes(name));
    if (suite === undefined || component !== 'main' || !/^https?:/.test(site)) continue;
    if (label !== '' && !/^Debian(-Security)?$/.test(label)) continue;
    sources.set(`${site} ${suite}`, { site, suite, component, signedBy: signedBy || undefined });
  }
  return [...sources.values()];
}

/**
 * Lines for a sources list (sources.list(5)).
 *
 * @param {readonly AptSource[]} sources
 */
export function sourcesList(sources) {
  return sources
    .map(({ site, suite, component, signedBy }) => {
      const options = signedBy === undefined ? '' : `[signed-by=${signedBy.split('\n')[0]}] `;
      return `deb ${options}${site} ${suite} ${component}\n`;
    })
    .join('');
}

/**
 * The same lines as they may stand inside a sandbox: neither a key file of this machine nor a password for a mirror.
 *
 * @param {string} list
 */
export function withoutMachineDetails(list) {
  return list.replace(/^(deb(?:-src)?) \[[^\]]*\] /gm, '$1 ').replace(/^(deb(?:-src)? [a-z+]+:\/\/)[^/@\s]*@/gm, '$1');
}

/**
 * @param {string} codename
 * @returns {Promise<AptSource[]>} empty when the machine has none of the release
 */
export async function debianSources(codename) {
  return parseIndexTargets(
    await run('apt-get', ['indextargets', '--format', FORMAT, 'Created-By: Packages']),
    codename,
  );
}
