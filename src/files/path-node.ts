/** Paths of environment variables and arguments. No shell expands them in .env files, systemd units and Docker images. */
import { homedir } from 'node:os'

/** Whether a word can only be meant as a path: no model is called so. */
export const isPathLike = (word: string): boolean => /^[./~]|\/$|\.(safetensors|json|gguf|bin|pt|pth)$/.test(word) || word.includes('\\')

/** The path with `~`, `$NAME` and `${NAME}` replaced; an unknown variable stays as it is. */
export function expandPath(path: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const expanded = /^~(?=$|[/\\])/.test(path) ? (env.HOME || homedir()) + path.slice(1) : path
  return expanded.replace(/\$(?:(\w+)|\{([^}]+)\})/g, (whole, plain, braced) => env[plain ?? braced] ?? whole)
}
