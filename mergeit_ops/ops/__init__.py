"""The operators. Importing this package registers them with Data-Juicer.

Data-Juicer imports it through the entry-point group `data_juicer.ops` whenever it starts, so it stays light: model and
client libraries load on first use.
"""

from mergeit_ops.dataset.foreign_rows import explain_foreign_rows
from mergeit_ops.dataset.last_words import explain_failures
from mergeit_ops.dataset.missing_dataset import explain_missing_dataset
from mergeit_ops.dataset.no_cluster import explain_no_cluster
from mergeit_ops.ops.backtranslation_mapper import BacktranslationMapper
from mergeit_ops.ops.budget_selector import BudgetSelector
from mergeit_ops.ops.combined_score_filter import CombinedScoreFilter
from mergeit_ops.ops.decontamination_filter import DecontaminationFilter
from mergeit_ops.ops.diversity_selector import DiversitySelector
from mergeit_ops.ops.facility_location_selector import FacilityLocationSelector
from mergeit_ops.ops.instruction_rewrite_mapper import InstructionRewriteMapper
from mergeit_ops.ops.instruction_tag_mapper import InstructionTagMapper
from mergeit_ops.ops.llm_pair_merger_mapper import LLMPairMergerMapper
from mergeit_ops.ops.low_confidence_selector import LowConfidenceSelector
from mergeit_ops.ops.pool_score_mapper import PoolScoreMapper
from mergeit_ops.ops.quality_gate_filter import QualityGateFilter
from mergeit_ops.ops.sample_score_filter import SampleScoreFilter
from mergeit_ops.ops.scored_diversity_selector import ScoredDiversitySelector
from mergeit_ops.ops.semantic_deduplicator import SemanticDeduplicator
from mergeit_ops.ops.sentence_embedding_mapper import SentenceEmbeddingMapper
from mergeit_ops.ops.tag_coverage_selector import TagCoverageSelector
from mergeit_ops.ops.tag_normalization_mapper import TagNormalizationMapper
from mergeit_ops.ops.topic_cluster_grouper import TopicClusterGrouper
from mergeit_ops.ops.topic_reverse_grouper import TopicReverseGrouper

__all__ = [
    "BacktranslationMapper",
    "BudgetSelector",
    "CombinedScoreFilter",
    "DecontaminationFilter",
    "DiversitySelector",
    "FacilityLocationSelector",
    "InstructionRewriteMapper",
    "InstructionTagMapper",
    "LLMPairMergerMapper",
    "LowConfidenceSelector",
    "PoolScoreMapper",
    "QualityGateFilter",
    "SampleScoreFilter",
    "ScoredDiversitySelector",
    "SemanticDeduplicator",
    "SentenceEmbeddingMapper",
    "TagCoverageSelector",
    "TagNormalizationMapper",
    "TopicClusterGrouper",
    "TopicReverseGrouper",
]

# Data-Juicer's loader stops a run before it builds any operator, so no operator can tell.
explain_failures(explain_foreign_rows)
explain_failures(explain_missing_dataset)
explain_failures(explain_no_cluster)
