// Files of the base image that are ours. Every command in a sandbox runs in a login shell (`bash -l -c`), and starting a
// process costs milliseconds under gVisor: nothing that such a shell reads may start one.

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Environment that a command starts with. */
export const environment = {
  PATH: SYSTEM_PATH,
  LANG: 'C.UTF-8',
};

const profile = `# Read by every login shell, so by every command: starts no process.
# A PATH that the caller gave stays; bash's own, for callers that gave none, ends in ".".
case ":\${PATH-}:" in
*:.:*) PATH=${SYSTEM_PATH} ;;
*:/usr/bin:*) ;;
*) PATH=${SYSTEM_PATH} ;;
esac
LANG="\${LANG:-C.UTF-8}"
export PATH LANG

for script in /etc/profile.d/*.sh; do
  [ -r "$script" ] && . "$script"
done
unset script
`;

const userProfile = `# Read by login shells: starts no process.
if [ -n "\${BASH_VERSION-}" ] && [ -r "$HOME/.bashrc" ]; then
  . "$HOME/.bashrc"
fi
for directory in "$HOME/bin" "$HOME/.local/bin"; do
  [ -d "$directory" ] || continue
  case ":$PATH:" in
  *":$directory:"*) ;;
  *) PATH="$directory:$PATH" ;;
  esac
done
unset directory
`;

const userBashrc = `# Read by interactive shells and, through ~/.profile, by login shells.
case $- in
*i*) ;;
*) return ;;
esac
PS1='\\w $ '
HISTCONTROL=ignoreboth
shopt -s histappend checkwinsize
alias ls='ls --color=auto' grep='grep --color=auto' ll='ls -l'
`;

/** @typedef {{ content: string, mode?: number, owner?: 'user' }} ImageFile mode 0644 and owner root when absent */

/** @type {Record<string, ImageFile>} */
export const files = {
  '/etc/profile': { content: profile },
  '/etc/skel/.profile': { content: userProfile },
  '/etc/skel/.bashrc': { content: userBashrc },
  '/etc/skel/.bash_logout': { content: '' },
  '/root/.profile': { content: userProfile },
  '/root/.bashrc': { content: userBashrc.replace('w $', 'w #') },
  '/etc/default/locale': { content: 'LANG=C.UTF-8\n' },
  '/etc/environment': { content: `PATH=${SYSTEM_PATH}\nLANG=C.UTF-8\n` },
  '/etc/sudoers.d/user': {
    // The caller's proxy and certificate settings have to reach "sudo apt-get" and "sudo pip".
    content: `Defaults:user !requiretty, env_keep += "http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE"
user ALL=(ALL:ALL) NOPASSWD: ALL
`,
    mode: 0o440,
  },
  // A sandbox is thrown away: neither a check for a newer npm nor a question is of use to it.
  '/usr/local/etc/npmrc': { content: 'update-notifier=false\nfund=false\n' },
  '/etc/apt/apt.conf.d/90sandbox': {
    content: 'APT::Install-Recommends "false";\nAcquire::Languages "none";\nDPkg::Use-Pty "false";\n',
  },
  // There is no init in a sandbox: packages that bring a service must not try to start it (policy-rc.d, Debian's
  // invoke-rc.d).
  '/usr/sbin/policy-rc.d': { content: '#!/bin/sh\nexit 101\n', mode: 0o755 },
  // Written by the agent when the sandbox starts.
  '/etc/hostname': { content: '' },
  '/etc/hosts': { content: '' },
  '/etc/machine-id': { content: '' },
  '/etc/resolv.conf': { content: '' },
};

/** Directories that everybody may write: for "npm install -g", for pip, and for the places code interpreters use. */
export const openDirectories = ['/usr/local', '/code'];

/** Directories that have to be there, empty. The agent is mounted on the first one, read-only. */
export const emptyDirectories = ['/.sandport'];
