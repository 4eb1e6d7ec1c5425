"""Which of Data-Juicer's keys an operator reads."""

import functools

from mergeit_ops.dataset.key_reading import default_column, keys_read


class Base:
    """Reads one key."""

    def process(self, sample):
        return sample[self.text_key]


class Derived(Base):
    """Reads others in every form that a method has."""

    @property
    def image(self):
        return [row[self.image_key] for row in ()]

    @staticmethod
    def of(op):
        def inner():
            return op.audio_key

        return inner

    @functools.wraps(Base.process)
    def wrapped(self, sample):
        return self.video_key


class Silent:
    """Only has a key."""

    text_key = "text"


def test_keys_are_found_in_methods_properties_and_inner_functions_of_all_classes():
    assert keys_read(Base) == {"text_key"}
    assert keys_read(Derived) == {"text_key", "image_key", "audio_key"}
    assert keys_read(Silent) == frozenset()


def test_operators_of_data_juicer_are_read():
    from data_juicer.ops import OPERATORS

    assert keys_read(OPERATORS.modules["words_num_filter"]) == {"text_key"}
    assert "image_key" in keys_read(OPERATORS.modules["image_aspect_ratio_filter"])


def test_keys_name_columns_by_default():
    assert default_column("text_key") == "text"
    assert default_column("image_key") == "images"
