// The `sandport` command inside a sandbox: a shell script that needs nothing but a shell, and starts nothing but itself.
import type { AgentInit } from '@sandport/protocol/agent-init';
import { AGENT_PORT } from '@sandport/protocol/agent-port';

/** On the PATH of every user, behind where one would install a program of that name. */
export const SHELL_COMMAND_PATH = '/usr/bin/sandport';

/** Values are checked by the host before they become part of host names; here they are quoted all the same. */
export function shellCommand({ sandboxId, domain }: Pick<AgentInit, 'sandboxId' | 'domain'>): string {
  return `#!/bin/sh
# Tells where this sandbox is reached from outside. Written by Sandport's agent, anew at every start.
id=${quote(sandboxId)}
domain=${quote(domain)}

usage() {
  cat <<'USAGE'
sandport url PORT     the public URL of a port
sandport ports        the ports that servers listen on, and their URLs
sandport ports --json the same, one JSON object a line
sandport id           the ID of this sandbox
sandport domain       the domain of its URLs
USAGE
}

fail() {
  echo "sandport: $1" >&2
  exit 2
}

url() {
  echo "https://$1-$id.$domain"
}

# A number without leading zeros, 1 to 65535.
check_port() {
  case $1 in
    '' | *[!0-9]* | 0* | ??????*) fail "'$1' is not a port: give a number from 1 to 65535" ;;
  esac
  [ "$1" -le 65535 ] || fail "'$1' is not a port: give a number from 1 to 65535"
}

ports() {
  seen=' '
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] || continue
    while read -r _ address _ state _; do
      [ "$state" = 0A ] || continue
      port=$((0x\${address##*:}))
      case $seen in *" $port "*) continue ;; esac
      seen="$seen$port "
      [ "$port" = ${AGENT_PORT} ] && continue
      if [ "$1" = --json ]; then
        echo "{\\"port\\":$port,\\"url\\":\\"$(url "$port")\\"}"
      else
        echo "$port	$(url "$port")"
      fi
    done <"$table"
  done
}

case $1 in
  url)
    [ $# = 2 ] || fail 'give one port: sandport url PORT'
    check_port "$2"
    url "$2"
    ;;
  ports)
    case $2 in '' | --json) ports "$2" ;; *) fail "'$2' is not known; try: sandport help" ;; esac
    ;;
  id) echo "$id" ;;
  domain) echo "$domain" ;;
  '' | help | -h | --help) usage ;;
  *) fail "'$1' is not known; try: sandport help" ;;
esac
`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
