import eslint from '@eslint/js';
import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';
import { ALLOWED, EXTERNAL_BANS } from './tools/verify/boundaries.mjs';

const depConstraints = [
  ...Object.entries(ALLOWED).map(([lib, allowed]) => ({
    sourceTag: `lib:${lib}`,
    onlyDependOnLibsWithTags: [lib, ...allowed].map((name) => `lib:${name}`),
  })),
  { sourceTag: 'app', onlyDependOnLibsWithTags: Object.keys(ALLOWED).map((lib) => `lib:${lib}`) },
];

const TESTS = ['**/*.spec.ts', '**/testing/**', 'tools/**', 'apps/e2e/**'];

/** Imports that production code of a file may not have: `names` of packages and our own test entry points. */
function forbidImports(names, message) {
  return {
    'no-restricted-imports': [
      'error',
      {
        paths: names.map((name) => ({ name, message })),
        patterns: [
          { group: ['@tyrum/*/testing', '@tyrum/test-services'], message: 'production code does not import test code' },
        ],
      },
    ],
  };
}

const banned = (lib) => EXTERNAL_BANS.filter(({ only }) => !only.includes(lib)).flatMap(({ packages }) => packages);

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'tmp', 'coverage', '.nx', '.tyrum', '**/*.js', '**/*.cjs', '**/*.mjs'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { enforceBuildableLibDependency: false, allow: ['@tyrum/test-services'], depConstraints },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An empty handler or class body is how "nothing to do" is said here; the comment beside it says why.
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'max-params': ['error', 6],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'MemberExpression[object.name=/^(describe|it|test)$/][property.name=/^(only|skip)$/]',
          message: 'no focused or skipped tests',
        },
      ],
    },
  },
  ...Object.keys(ALLOWED).map((lib) => ({
    files: [`libs/${lib}/src/**/*.ts`],
    ignores: TESTS,
    rules: forbidImports(banned(lib), `only the library that owns it imports it (tools/verify/boundaries.mjs)`),
  })),
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: [...TESTS, '**/main.ts', '**/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'the environment is read in main.ts and becomes a typed config',
        },
      ],
    },
  },
  prettier,
);
