// Lines for the shell inside a sandbox.

/** Does it until it is ended, so many seconds apart. Under gVisor the processes of "sleep" would cost half a core. */
export function repeat(seconds: number, what: string): string {
  return `exec 9<> <(:); while ! read -rt ${seconds} <&9; do ${what}; done`;
}
