// What is in the base image. Node and npm are not in the list: they are the pinned ones.

/** Debian's packages. */
export const packages = [
  'bash',
  'build-essential',
  'bzip2',
  'ca-certificates',
  'curl',
  'debian-archive-keyring',
  'file',
  'git',
  'iproute2',
  'iputils-ping',
  'jq',
  'less',
  'nano',
  'netcat-openbsd',
  'openssh-client',
  'procps',
  'python-is-python3',
  'python3',
  'python3-pip',
  'python3-venv',
  'rsync',
  'socat',
  'sudo',
  'tzdata',
  'unzip',
  'vim-tiny',
  'wget',
  'xz-utils',
  'zip',
];

/** Documentation that nobody reads in a sandbox. Licences stay. */
export const leftOut = {
  exclude: ['/usr/share/doc/*', '/usr/share/info/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/lintian/*'],
  include: ['/usr/share/doc/*/copyright', '/usr/share/locale/locale.alias'],
};

/** Programs that have to start before the image is taken into use, with arguments that make them answer and end. */
export const promised = [
  ['bash', '-l', '-c', 'true'],
  ['curl', '--version'],
  ['gcc', '--version'],
  ['git', '--version'],
  ['jq', '--version'],
  ['make', '--version'],
  ['node', '--version'],
  ['npm', '--version'],
  ['npx', '--version'],
  ['pip', '--version'],
  ['python', '--version'],
  ['python3', '-c', 'import ctypes, hashlib, http.server, ssl, sqlite3, venv'],
  ['ssh', '-V'],
  ['sudo', '-n', 'true'],
  ['wget', '--version'],
];
