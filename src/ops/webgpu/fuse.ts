/** Rewrites the nodes of a pass so that fewer dispatches compute the same. */
import type { Node } from './record.ts'

export const fuse = (nodes: readonly Node[]): readonly Node[] => nodes
