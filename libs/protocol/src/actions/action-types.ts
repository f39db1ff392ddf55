/** Every action type of the wire, executed here or not. */
export const ACTION_TYPES = [
  'Research',
  'Decide',
  'Llm',
  'Web',
  'Browser',
  'IOS',
  'Android',
  'Desktop',
  'Filesystem',
  'CLI',
  'Http',
  'Mcp',
  'Node',
  'Message',
  'Pay',
  'Store',
  'Watch',
  'Confirm',
] as const;
export type ActionType = (typeof ACTION_TYPES)[number];

export const FILESYSTEM_OPS = ['read', 'write', 'edit', 'apply_patch', 'glob', 'grep', 'list'] as const;
export type FilesystemOp = (typeof FILESYSTEM_OPS)[number];

export const HTTP_METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];
