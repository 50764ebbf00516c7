" SPDX-License-Identifier: Apache-2.0
" Vim syntax of .bfn network descriptions (docs/language.md).
if exists('b:current_syntax')
  finish
endif

syntax keyword bfnStatement bfn network block input const output weights profile
syntax keyword bfnClause scale zero axis from requantize
syntax keyword bfnOption kernel stride dilation groups activation beta pads value shape lo hi in0 in1 left_shift axes perm begin count step factor
syntax match bfnOption /\<pad\>\ze\s\+[^( ]/
syntax keyword bfnWord same valid none default
syntax match bfnCall /\<\h\w*\ze(/
syntax keyword bfnMode tflite tflite16 dyadic affine_floor float_rne thresholds pow2
syntax match bfnType /\<\([us]\([1-9]\|[1-3]\d\|4[0-8]\)\|b1\|t2\)\>/
syntax match bfnNumber /\(\<\|-\)\d\+\(\.\d*\)\?\([eE][-+]\?\d\+\)\?\>/
syntax match bfnArrow /->/
syntax region bfnString start=/"/ end=/"/ oneline contains=bfnHole
syntax match bfnHole /{[^}"]*}/ contained
syntax match bfnComment /#.*$/ contains=@Spell

highlight default link bfnStatement Keyword
highlight default link bfnClause Statement
highlight default link bfnOption Identifier
highlight default link bfnWord Constant
highlight default link bfnCall Function
highlight default link bfnMode Special
highlight default link bfnType Type
highlight default link bfnNumber Number
highlight default link bfnArrow Operator
highlight default link bfnString String
highlight default link bfnHole Special
highlight default link bfnComment Comment

setlocal commentstring=#\ %s
let b:current_syntax = 'bfn'
