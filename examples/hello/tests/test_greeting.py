"""The rules of greeting."""

import unittest

from hello.greeting import GREETINGS, greet, pick_language, presentable, wanted_languages


class Languages(unittest.TestCase):
    def test_weights_decide_and_order_breaks_ties(self):
        self.assertEqual(wanted_languages("fr;q=0.5, de, en;q=0.5"), ["de", "fr", "en"])

    def test_refused_and_malformed_ones_are_left_out(self):
        self.assertEqual(wanted_languages("fr;q=0, de;q=much, en;q=2, ,;q=1"), [])

    def test_a_regional_language_falls_back_to_the_plain_one(self):
        self.assertEqual(pick_language("de-AT-1996"), "de")

    def test_an_exact_regional_match_is_used(self):
        self.assertEqual(pick_language("PT-BR, en"), "pt-br")

    def test_an_unknown_language_yields_to_the_next(self):
        self.assertEqual(pick_language("xx, fr;q=0.1"), "fr")

    def test_whoever_takes_anything_gets_english(self):
        for header in (None, "", "*", "xx", "xx, *"):
            with self.subTest(header=header):
                self.assertEqual(pick_language(header), "en")


class Names(unittest.TestCase):
    def test_a_missing_name_is_the_world(self):
        for name in (None, "", "   ", "\x00\n"):
            with self.subTest(name=name):
                self.assertEqual(presentable(name), "world")

    def test_lines_are_joined(self):
        self.assertEqual(presentable(" Ada\r\nLovelace "), "Ada Lovelace")

    def test_a_long_name_is_cut(self):
        self.assertEqual(len(presentable("x" * 100)), 40)
        self.assertTrue(presentable("x" * 100).endswith("…"))


class Greetings(unittest.TestCase):
    def test_a_greeting_is_in_the_language_that_was_picked(self):
        self.assertEqual(greet("Ada", "fr"), ("fr", "Bonjour, Ada !"))

    def test_braces_in_a_name_are_only_text(self):
        self.assertEqual(greet("{name}", "en"), ("en", "Hello, {name}!"))

    def test_every_greeting_has_a_place_for_the_name(self):
        for language, text in GREETINGS.items():
            with self.subTest(language=language):
                self.assertIn("Ada", text.format(name="Ada"))
