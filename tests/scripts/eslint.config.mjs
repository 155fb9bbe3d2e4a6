/* How the scripts are written. `make lint` runs it from the project's folder.

   All modules of a page's script share one scope when they are joined (docs/scripts.md). The rules about globals make that safe:
   a module may use only the names of the browser that stand here (no-undef), and no module may declare one of them (no-shadow). */

import js from '@eslint/js';

const BROWSER = [
  'window', 'document', 'location', 'history', 'navigator', 'console', 'fetch', 'crypto', 'performance', 'Notification', 'Intl',
  'setTimeout', 'clearTimeout', 'setInterval', 'getComputedStyle', 'innerHeight',
  'AbortController', 'BroadcastChannel', 'CSSStyleSheet', 'DOMParser', 'Element', 'FormData', 'IntersectionObserver', 'WebSocket',
];
const IN_TESTS = ['globalThis', 'queueMicrotask', 'setImmediate'];
const readonly = (names) => Object.fromEntries(names.map((name) => [name, 'readonly']));

/* The widget runs in browsers of 2018 and later: what the language's library has learnt since then is missing there. */
const LATER = ['flat', 'flatMap', 'replaceAll', 'matchAll', 'findLast', 'toSorted', 'toReversed', 'trimStart', 'trimEnd'];
const UNSAFE = 'MemberExpression[property.name=/^(inner|outer)HTML$|^style$/]';

const OTHERS = ['../page/*', '../rings/*', '../workspace/*', '../team/*', '../archive/*'];

const rules = {
  'block-scoped-var': 'error',
  complexity: ['error', 20],
  curly: ['error', 'multi-line'],
  'default-case-last': 'error',
  eqeqeq: 'error',
  'func-style': ['error', 'declaration', { allowArrowFunctions: true }],
  'max-depth': ['error', 3],
  'max-lines': ['error', 400],
  'max-lines-per-function': ['error', 60],
  'max-params': ['error', 5],
  'max-statements': ['error', 30],
  'no-else-return': 'off',
  'no-empty': ['error', { allowEmptyCatch: false }],
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-new-func': 'error',
  'no-param-reassign': 'error',
  'no-shadow': ['error', { builtinGlobals: true, hoist: 'all' }],
  'no-unused-vars': ['error', { caughtErrors: 'none' }],
  'no-use-before-define': ['error', { functions: false, variables: false }],
  'no-var': 'error',
  'object-shorthand': 'error',
  'one-var': ['error', 'never'],
  'prefer-arrow-callback': 'error',
  'prefer-const': 'error',
  'prefer-template': 'error',
  'require-await': 'error',
};

export default [
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['dialogs/static/**/*.js'],
    languageOptions: { ecmaVersion: 2018, sourceType: 'module', globals: readonly(BROWSER) },
    rules,
  },
  {
    files: ['dialogs/static/dialogs/{widget,window,live,shared}/**/*.js'],
    rules: {
      'no-restricted-properties': ['error', { object: 'Object', property: 'fromEntries' }, ...LATER.map((property) => ({ property }))],
      'no-restricted-syntax': ['error', { selector: UNSAFE, message: 'A strict policy of the customer\'s page forbids it (W1).' }],
    },
  },
  {
    files: ['dialogs/static/dialogs/{live,shared}/**/*.js'],
    rules: { 'no-restricted-imports': ['error', { patterns: ['../*', '!../live', '!../shared'] }] },
  },
  {
    files: ['dialogs/static/dialogs/widget/**/*.js'],
    rules: { 'no-restricted-imports': ['error', { patterns: [...OTHERS, '../window/*'] }] },
  },
  {
    files: ['dialogs/static/dialogs/window/**/*.js'],
    rules: { 'no-restricted-imports': ['error', { patterns: OTHERS }] },
  },
  {
    files: ['tests/scripts/*.js'],
    languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: readonly([...BROWSER, ...IN_TESTS]) },
    rules: Object.assign({}, rules, { 'max-lines-per-function': 'off', 'max-statements': 'off', 'require-await': 'off' }),
  },
];
