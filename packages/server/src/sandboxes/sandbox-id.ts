// IDs: one letter and 20 random characters, about 103 bits, so that a public URL cannot be guessed.
import { randomInt } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 20;

export function newSandboxId(): string {
  let id = 'i';
  for (let i = 0; i < LENGTH; i++) id += ALPHABET[randomInt(ALPHABET.length)];
  return id;
}
