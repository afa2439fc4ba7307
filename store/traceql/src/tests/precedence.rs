//! What binds tighter than what: the same with all parentheses.

use crate::parse;

/// Without parentheses, and the same with them.
const SAME: &[(&str, &str)] = &[
    ("{ .a && .b || .c }", "{ (.a && .b) || .c }"),
    ("{ .a || .b && .c }", "{ (.a || .b) && .c }"),
    ("{ .a && (.b && .c) }", "{ .a && .b && .c }"),
    ("{ .a = 1 && .b = 2 }", "{ (.a = 1) && (.b = 2) }"),
    ("{ .a = .b = .c }", "{ (.a = .b) = .c }"),
    ("{ .a + 1 = .b * 2 }", "{ (.a + 1) = (.b * 2) }"),
    ("{ .a - 1 - 2 = 0 }", "{ ((.a - 1) - 2) = 0 }"),
    ("{ .a + 2 * .b ^ 2 = 0 }", "{ (.a + (2 * (.b ^ 2))) = 0 }"),
    ("{ 2 ^ .a ^ 2 = 0 }", "{ (2 ^ (.a ^ 2)) = 0 }"),
    ("{ -.a ^ 2 = 0 }", "{ ((-.a) ^ 2) = 0 }"),
    ("{ -2 ^ .a = 0 }", "{ ((-2) ^ .a) = 0 }"),
    ("{ 10 % 3 * .a = 0 }", "{ ((10 % 3) * .a) = 0 }"),
    ("{ !.a = .b }", "{ (!.a) = .b }"),
    ("{ !.a && .b }", "{ (!.a) && .b }"),
    ("{ !!.a }", "{ !(!.a) }"),
    ("{.a} && {.b} >> {.c}", "{.a} && ({.b} >> {.c})"),
    ("{.a} >> {.b} && {.c}", "({.a} >> {.b}) && {.c}"),
    ("{.a} >> {.b} > {.c}", "({.a} >> {.b}) > {.c}"),
    ("{.a} || {.b} && {.c}", "({.a} || {.b}) && {.c}"),
    ("{.a} || {.b} | {.c}", "({.a} || {.b}) | {.c}"),
    ("{} | count() + 1 * 2 > 3", "{} | (count() + (1 * 2)) > 3"),
    ("({}|rate()) + ({}|rate()) * 2", "({}|rate()) + (({}|rate()) * 2)"),
    ("({}|rate()) - 1 - 2", "(({}|rate()) - 1) - 2"),
    ("({}|rate()) + 1 > 2", "(({}|rate()) + 1) > 2"),
    ("({}|rate()) + 1 | topk(2)", "(({}|rate()) + 1) | topk(2)"),
    ("1 + 2 + ({}|rate())", "3 + ({}|rate())"),
    ("({}|rate()|topk(2)) | bottomk(1)", "{}|rate()|topk(2)|bottomk(1)"),
];

#[test]
fn what_binds_tighter() {
    for (plain, full) in SAME {
        let (plain_tree, full_tree) = (parse(plain), parse(full));
        assert!(plain_tree.is_ok(), "{plain}: {plain_tree:?}");
        assert_eq!(plain_tree, full_tree, "{plain} and {full}");
    }
}
